import unicodedata
from types import SimpleNamespace

import pytest

from icl_vectors.prompts.answers import (
    answer_bound,
    begins_right,
    cut_answer,
    ending_tokens,
    is_exact,
    normalise,
    tokens_that_end_a_line,
)  # fmt: skip
from icl_vectors.prompts.template import Template
from tests.tiny import bytes_tokenizer, metaspace_tokenizer


@pytest.mark.parametrize(
    ("written", "accepted", "exact", "prefix"),
    [
        ("Paris", ["Paris"], True, True),
        (" Paris  ", ["Paris"], True, True),
        ("New\u00a0 Delhi", ["New Delhi"], True, True),
        ("paris", ["Paris"], False, False),
        ("Paris, France", ["Paris"], False, True),
        ("Paris→", ["Paris"], False, True),
        ("Parish", ["Paris"], False, False),
        ("Par", ["Paris"], False, False),
        ("", ["Paris"], False, False),
        ("Kyiv", ["Kiev", "Kyiv"], True, True),
        ("Kyiv now", ["Kiev", "Kyiv"], False, True),
        ("1 2", ["1"], False, True),
        ("12", ["1"], False, False),
        (unicodedata.normalize("NFD", "Bogotá"), ["Bogotá"], True, True),
        ("Bogota\u0323", ["Bogota"], False, False),  # a combining mark goes on with the letter
        ("Nuku’alofa", ["Nuku'alofa"], True, True),
        ("東京", ["東京"], True, True),
        ("東京。", ["東京"], False, True),
        ("東京都", ["東京"], False, False),
        ("القاهرة", ["القاهرة"], True, True),
    ],
)
def test_whole_or_begun_right(written: str, accepted: list[str], exact: bool, prefix: bool) -> None:
    assert (is_exact(written, accepted), begins_right(written, accepted)) == (exact, prefix)


def test_normalising_twice_changes_nothing_more() -> None:
    once = normalise("  e\u0301 \t x\n")
    assert once == "é x" == normalise(once)


@pytest.mark.parametrize(
    ("template", "written", "answer"),
    [
        ("{input}→{output}", "Paris\nItaly→Rome", "Paris"),
        ("{input}→{output};", "Paris;\nItaly→Rome", "Paris"),
        ("{input}→{output};", "Paris; Italy", "Paris"),
        ("{input}→ {output}", " Paris\nItaly", "Paris"),
        ("{input}→{output}", "Paris Italy", "Paris Italy"),
        ("{input}→{output}", "\nParis", ""),
    ],
)
def test_an_answer_ends_with_its_line(template: str, written: str, answer: str) -> None:
    tokenizer = bytes_tokenizer(bos=False)
    ids = tokenizer(written)["input_ids"]
    assert cut_answer(tokenizer, Template(template), ids, ()) == answer


def test_an_answer_ends_at_the_end_of_the_text() -> None:
    tokenizer = bytes_tokenizer(bos=False)
    end, paris = tokenizer.eos_token_id, tokenizer("Paris")["input_ids"]
    ids = [*paris, end, *tokenizer("Rome")["input_ids"]]
    assert cut_answer(tokenizer, Template(), ids, (end,)) == "Paris"
    assert cut_answer(tokenizer, Template(), [*paris, -1, -1], ()) == "Paris", "unwritten"


def test_the_bound_is_enough_for_every_accepted_answer() -> None:
    tokenizer = bytes_tokenizer(bos=True)
    assert answer_bound(tokenizer, ["a", "b"]) == 8
    long = "Qxzv Jkwq Zzyx Wqkj Vxzq"
    ids = tokenizer(long, add_special_tokens=False)["input_ids"]
    assert len(ids) > 8 and answer_bound(tokenizer, ["a", long]) == len(ids) + 1


def test_the_tokens_that_end_a_text_come_from_model_and_tokenizer() -> None:
    tokenizer = bytes_tokenizer()
    for of_model, expected in (([7, 9], (7, 9)), (7, (7,))):
        model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=of_model))
        assert ending_tokens(model, tokenizer) == (tokenizer.eos_token_id, *expected)
    assert ending_tokens(object(), tokenizer) == (tokenizer.eos_token_id,)


def test_the_token_that_ends_a_line_is_known_where_it_is_one() -> None:
    tokenizer = bytes_tokenizer(bos=False)
    (newline,) = tokens_that_end_a_line(tokenizer, Template())
    assert tokenizer.decode([newline]) == "\n"
    assert tokens_that_end_a_line(tokenizer, Template("{input}→{output};")) == ()
    assert len(tokens_that_end_a_line(metaspace_tokenizer(), Template())) <= 1

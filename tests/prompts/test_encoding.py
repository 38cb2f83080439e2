from dataclasses import replace
from typing import Any

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.encoding import (
    EncodedPrompt,
    describe_prompt,
    encode_prompt,
    encode_to_arrow,
    first_tokens,
)
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template
from tests.tiny import bytes_tokenizer, metaspace_tokenizer
from tests.told import told

PROMPT = Prompt(
    id="one",
    task="capitals",
    seed=1,
    split="test",
    query="Spain",
    answers=("Madrid",),
    demonstrations=(("France", "Paris"), ("Japan", "Tokyo")),
    dummies=("Kenya", "Curaçao"),
)
TOKENIZERS = {
    "bytes": bytes_tokenizer(),
    "bytes without BOS": bytes_tokenizer(bos=False),
    "bytes with EOS": bytes_tokenizer(eos=True),
    "bytes with EOS alone": bytes_tokenizer(bos=False, eos=True),
    "metaspace": metaspace_tokenizer(),
    "metaspace without BOS": metaspace_tokenizer(bos=False),
}
TEMPLATES = [
    "{input}→{output}",
    "{input} → {output}",
    "Q: {input} A: {output} ok",
    "{input}->{output}",
    "Q: {input}\nA: {output}",
    "Q: {input}\nA: {output}\n",
]

every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=list(TOKENIZERS))


def encode(
    tokenizer: Any, text: str = "{input}→{output}", prompt: Prompt = PROMPT
) -> EncodedPrompt:
    return encode_prompt(tokenizer, Template(text), prompt, limit=500)


def read(tokenizer: Any, ids: tuple[int, ...]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=True))


@every_tokenizer
@pytest.mark.parametrize("text", TEMPLATES)
def test_tokens_are_those_of_the_text_up_to_the_arrow(tokenizer: Any, text: str) -> None:
    encoded, template = encode(tokenizer, text), Template(text)
    shown = list(PROMPT.demonstrations)
    for suffix, query in zip(encoded.suffixes, (PROMPT.query, *PROMPT.dummies), strict=True):
        assert read(tokenizer, encoded.shared + suffix) == template.prompt(shown, query)
    assert read(tokenizer, encoded.alone) == template.query("Spain")
    whole = tokenizer(template.prompt(shown, "Spain"))["input_ids"]
    if whole[-1] == tokenizer.eos_token_id:
        whole = whole[:-1]
    assert list(encoded.shared + encoded.suffixes[0]) == whole
    attached = tokenizer(template.query("Spain") + template.gap + "Madrid")["input_ids"]
    assert encoded.accepted == (attached[len(encoded.alone)],)
    assert read(tokenizer, encoded.accepted).strip() in {"Madrid"[:n] for n in range(1, 7)}


@every_tokenizer
def test_query_and_dummies_share_the_demonstrations_and_no_more(tokenizer: Any) -> None:
    encoded = encode(tokenizer)
    assert all(encoded.suffixes)
    assert len({suffix[0] for suffix in encoded.suffixes}) > 1
    assert "Tokyo" in read(tokenizer, encoded.shared)


@pytest.mark.parametrize("name", ["bytes", "metaspace", "bytes with EOS"])
def test_bos_stands_first_and_an_eos_that_is_appended_is_not_the_arrow(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    encoded = encode(tokenizer)
    assert encoded.shared[0] == encoded.alone[0] == tokenizer.bos_token_id
    assert tokenizer.bos_token_id not in encoded.shared[1:]
    everything = {*encoded.shared, *encoded.alone, *(t for row in encoded.suffixes for t in row)}
    assert tokenizer.eos_token_id not in everything
    assert name == "metaspace" or encoded == encode(TOKENIZERS["bytes"])


def test_an_arrow_of_several_bytes_ends_at_its_last_token() -> None:
    tokenizer = bytes_tokenizer()
    ids = encode_to_arrow(tokenizer, Template("{input}⇝{output}"), "Spain⇝", "Madrid")
    assert ids == tokenizer("Spain⇝")["input_ids"]
    assert len(tokenizer("⇝", add_special_tokens=False)["input_ids"]) > 1


def test_a_tokenizer_that_joins_arrow_and_answer_is_refused_and_a_blank_mends_it() -> None:
    joining = bytes_tokenizer(joins="→P")
    assert len(joining("→P", add_special_tokens=False)["input_ids"]) == 1
    with told("joins the arrow with the answer", "put a blank after it"):
        encode(joining)
    with told("joins the arrow with the answer 'Paris'"):
        first_tokens(joining, Template(), "France→", ("Lutetia", "Paris"))
    assert read(joining, encode(joining, "{input}→ {output}").alone) == "Spain→"


def test_a_first_token_that_is_blank_is_refused() -> None:
    with pytest.raises(IclVectorsError, match="the first token after the arrow is blank"):
        encode(bytes_tokenizer(), "{input}→   {output}")


def test_all_accepted_answers_give_their_first_token_once() -> None:
    tokenizer = bytes_tokenizer()
    answers = ("Madrid", "Madrigal", "Toledo")
    several = encode(tokenizer, prompt=replace(PROMPT, answers=answers)).accepted
    assert len(several) == len(set(several)) <= 3
    assert set(encode(tokenizer).accepted) < set(several)
    assert list(several) == sorted(several)


def test_a_prompt_that_is_too_long_is_refused_not_truncated() -> None:
    tokenizer = bytes_tokenizer()
    encoded = encode(tokenizer)
    longest = len(encoded.shared) + max(map(len, encoded.suffixes))
    assert encode_prompt(tokenizer, Template(), PROMPT, longest) == encoded
    with told(
        f"prompt one: found {longest} tokens, expected at most {longest - 1}", "lower --shots"
    ):
        encode_prompt(tokenizer, Template(), PROMPT, longest - 1)


def test_a_tokenizer_that_truncates_is_refused() -> None:
    tokenizer = bytes_tokenizer()
    tokenizer._tokenizer.enable_truncation(4)

    class Truncating:
        def __call__(self, text: str, **options: Any) -> dict[str, Any]:
            encoded = tokenizer._tokenizer.encode(text)
            return {"input_ids": encoded.ids, "offset_mapping": encoded.offsets}

    with pytest.raises(IclVectorsError, match="drops or truncates text"):
        encode(Truncating())


def test_a_prompt_without_demonstrations_can_be_encoded() -> None:
    bare = replace(PROMPT, demonstrations=())
    encoded = encode(bytes_tokenizer(bos=False), prompt=bare)
    assert encoded.shared == ()
    assert encoded.suffixes[0] == encoded.alone


def test_the_arrow_is_marked_when_a_prompt_is_shown() -> None:
    tokenizer = bytes_tokenizer()
    shown = describe_prompt(tokenizer, encode(tokenizer).alone)
    assert shown.startswith("[<s>]")
    assert shown.endswith("⟦→⟧")

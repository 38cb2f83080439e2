from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from transformers import PreTrainedModel

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.vectors.apply import regular
from icl_vectors.vectors.injection import choose_layers
from tests.benchmarks.random_model import word
from tests.tiny import HIDDEN, N_LAYERS, Tiny
from tests.twins import plain
from tests.twins.blocks import replaced
from tests.twins.cache import CACHE
from tests.twins.prompts import Prompt, dummy_ids, full_text, token_ids

PAIRS = {f"{word(i)}": f"{word(i + 100)}" for i in range(5)}
DUMMIES = [word(20), f"{word(21)}_{word(22)}"]
QUERIES = [word(30), f"{word(31)}_{word(32)}", f"{word(33)}_{word(34)}_{word(35)}"]
PROMPT = Prompt(
    demonstrations=[list(pair) for pair in PAIRS.items()],
    query=word(0),
    answers=[],
    dummies=DUMMIES,
)


def written_naively(model: PreTrainedModel, ids: list[int], steps: int) -> list[int]:
    written: list[int] = []
    for _ in range(steps):
        written.append(plain.next_token(model, ids + written))
    return written


@torch.no_grad()
def written_with(
    model: PreTrainedModel, ids: list[int], steps: int, layer: int, vector: Tensor
) -> list[int]:
    """Greedy tokens; the vector stays at the prompt's last place, found anew at every step."""
    first: Any
    with replaced(model, layer, vector):
        first = model(input_ids=torch.tensor([ids]), use_cache=True)
    cache, written = first[CACHE], [int(first.logits[0, -1].argmax())]
    for _ in range(steps - 1):
        output: Any = model(input_ids=torch.tensor([written[-1:]]), **{CACHE: cache})
        written.append(int(output.logits[0, -1].argmax()))
    return written


def shown(tiny: Tiny, tokens: list[int]) -> str:
    text = str(tiny.tokenizer.decode(tokens, skip_special_tokens=True))
    return text.split("\n")[0].strip()


def test_extract_gives_the_theta_of_plain_pytorch(tiny: Tiny) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES)
    expected = plain.theta(tiny.plain, dummy_ids(tiny.tokenizer, PROMPT))
    assert theta.vectors.shape == (N_LAYERS, HIDDEN)
    assert theta.vectors.dtype is torch.float32
    assert_close(theta.vectors, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_an_answer_of_several_tokens_is_that_of_a_greedy_loop(tiny: Tiny, layer: int) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES)
    found = icl.apply(tiny.model, theta, QUERIES, layer=layer, max_new_tokens=6)
    for query, answer in zip(QUERIES, found, strict=True):
        ids = token_ids(tiny.tokenizer, f"{query}→")
        expected = written_with(tiny.plain, ids, 6, layer, theta.vectors[layer])
        assert answer == shown(tiny, expected)


def test_answers_without_theta_and_regular_ones_are_those_of_a_greedy_loop(tiny: Tiny) -> None:
    alone = icl.apply(tiny.model, None, QUERIES, max_new_tokens=5)
    shots = regular(tiny.model, PAIRS, QUERIES, max_new_tokens=5)
    for query, *found in zip(QUERIES, alone, shots, strict=True):
        for text, answer in zip((f"{query}→", full_text(PROMPT, query)), found, strict=True):
            ids = token_ids(tiny.tokenizer, text)
            assert answer == shown(tiny, written_naively(tiny.plain, ids, 5))


def test_queries_together_answer_as_they_do_one_by_one(tiny: Tiny) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES)
    together = icl.apply(tiny.model, theta, QUERIES, layer=1)
    assert together == [icl.apply(tiny.model, theta, q, layer=1)[0] for q in QUERIES]


SHOWN = {"a": "b", "c": "d"}


@pytest.fixture(scope="module")
def theta(llama: icl.Model) -> icl.TaskVector:
    return icl.extract(llama, SHOWN, ["e"])


def test_demonstrations_and_dummies_are_those_given_in_their_order(
    llama: icl.Model, theta: icl.TaskVector
) -> None:
    held = icl.extract(llama, {**SHOWN, "e": "f", "g": "h"})
    given = icl.extract(llama, SHOWN, ["e", "g"])
    assert held.dummies == ("e", "g"), "the last two"
    assert torch.equal(held.vectors, given.vectors)
    other = icl.extract(llama, [("c", "d"), ("a", "b")], ["e"])
    assert not torch.allclose(theta.vectors, other.vectors, atol=1e-3)


def test_the_vector_says_where_it_comes_from(llama: icl.Model) -> None:
    theta = icl.extract(llama, SHOWN, ["e"], template="paper", task="t", seed=7)
    assert theta.model == llama.reference and theta.fingerprint == llama.fingerprint
    assert theta.template == "example:{input}->{output}"
    assert theta.demonstrations == (("a", "b"), ("c", "d")) and theta.dummies == ("e",)
    assert (theta.task, theta.seed, theta.dtype) == ("t", 7, "float32")


def test_some_layers_are_rows_of_all_and_count_from_the_end(
    llama: icl.Model, theta: icl.TaskVector
) -> None:
    part = icl.extract(llama, SHOWN, ["e"], layers="-1,1")
    assert part.layers == (1, 3)
    assert torch.equal(part.vectors, theta.vectors[[1, 3]])
    assert icl.apply(llama, theta, "x", layer=-1) == icl.apply(llama, theta, ["x"], layer=3)


def test_the_layer_is_the_one_asked_for_then_the_best_or_only_one(theta: icl.TaskVector) -> None:
    best = replace(theta, best_layer=2)
    assert choose_layers(best, 1) == (1,)
    assert choose_layers(best, [3, 0]) == (3, 0)
    assert choose_layers(best) == (2,)
    assert choose_layers(theta.only([3])) == (3,)
    with pytest.raises(IclVectorsError, match=r"holds 4 layers and names no best one; give layer"):
        choose_layers(theta)


def test_a_vector_that_is_not_finite_stops_the_run(llama: icl.Model, theta: icl.TaskVector) -> None:
    broken = replace(theta, vectors=torch.full_like(theta.vectors, torch.nan))
    with pytest.raises(RunError, match="NaN or infinity in float32"):
        icl.apply(llama, broken, ["a"], layer=1)

"""Vectors of every method that can be kept: made, saved, injected, against plain hooks."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.vectors.extract_methods import STRENGTH
from tests.benchmarks.random_model import word
from tests.tiny import HIDDEN, N_LAYERS, Tiny
from tests.twins import methods as twin
from tests.twins import plain
from tests.twins.prompts import token_ids

PAIRS = {word(i): word(i + 100) for i in range(5)}
DUMMIES = [word(20), f"{word(21)}_{word(22)}"]
TASK = icl.Task.from_pairs("words", {word(i): word(i + 60) for i in range(30)})
QUERIES = [word(50), f"{word(51)}_{word(52)}"]
POOLED: dict[str, Any] = {"method": "function", "prompts": 4, "seed": 3}


def logits_of(model: icl.Model, theta: icl.TaskVector, **options: Any) -> Tensor:
    found = icl.apply(model, theta, QUERIES, return_logits=True, **options).logits
    assert found is not None
    return found


def ids_of(tiny: Tiny) -> list[list[int]]:
    return [token_ids(tiny.tokenizer, f"{query}→") for query in QUERIES]


def prompt_ids(tiny: Tiny, query: str) -> list[int]:
    lines = [f"{x}→{y}" for x, y in PAIRS.items()]
    return token_ids(tiny.tokenizer, "\n".join([*lines, f"{query}→"]))


def test_a_function_vector_is_added_at_a_third_of_the_depth(tiny: Tiny, tmp_path: Path) -> None:
    theta = icl.extract(tiny.model, TASK, **POOLED)
    assert theta.vectors.shape == (N_LAYERS, HIDDEN)
    assert torch.equal(theta.vectors[0], theta.vectors[-1])
    assert (theta.method, theta.best_layer) == ("function", N_LAYERS // 3)
    assert theta.made_by.startswith("heads ")
    again = icl.TaskVector.load(theta.save(tmp_path / "function.safetensors"))
    assert (again.method, again.made_by) == (theta.method, theta.made_by)
    for ids, logits in zip(ids_of(tiny), logits_of(tiny.model, again), strict=True):
        with torch.no_grad():
            expected = twin.with_added(tiny.plain, ids, N_LAYERS // 3, theta.vectors[0])
        assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_heads_of_a_comparison_make_the_function_vector(llama: icl.Model, tmp_path: Path) -> None:
    task = icl.load_task("to_upper")
    ranked = [{"layer": 2, "head": 1, "effect": 0.5}, {"layer": 0, "head": 3, "effect": 0.1}]
    file = tmp_path / "heads.json"
    file.write_text(json.dumps({"ranked": ranked}))
    theta = icl.extract(llama, task, method="function", prompts=3, heads=file)
    assert "heads 2.1, 0.3" in theta.made_by
    other = icl.extract(llama, task, method="function", prompts=3)
    assert other.made_by.count(".") == 2
    file.write_text(json.dumps({"ranked": ranked[:1]}))
    with pytest.raises(icl.IclVectorsError, match="expected 2 heads, found 1"):
        icl.extract(llama, task, method="function", prompts=3, heads=file)


def test_an_in_context_vector_goes_everywhere_and_into_every_token(tiny: Tiny) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES, method="icv")
    with torch.no_grad():
        pairs = [
            [twin.last_states(tiny.plain, token_ids(tiny.tokenizer, text)) for text in pair]
            for pair in PAIRS.items()
        ]
        outputs = torch.stack([output for _, output in pairs])
        direction = twin.principal_direction(outputs - torch.stack([x for x, _ in pairs]))
        expected = (direction * outputs.norm(dim=-1).mean() * STRENGTH).view(N_LAYERS, -1)
        assert_close(theta.vectors, expected, rtol=1e-3, atol=1e-4)
        for ids, logits in zip(ids_of(tiny), logits_of(tiny.model, theta, scale=20), strict=True):
            moved = twin.with_vector_everywhere(tiny.plain, ids, 20 * theta.vectors)
            assert_close(logits, moved, rtol=1e-3, atol=1e-3)
        written = icl.apply(tiny.model, theta, QUERIES[:1], scale=20, max_new_tokens=4)
        ids = ids_of(tiny)[0]
        for _ in range(4):
            moved = twin.with_vector_everywhere(tiny.plain, ids, 20 * theta.vectors)
            ids = [*ids, int(moved.argmax())]
    text = str(tiny.tokenizer.decode(ids[-4:], skip_special_tokens=True))
    assert written == [text.split("\n")[0].strip()]


def test_a_state_vector_replaces_the_first_blocks_attention(tiny: Tiny) -> None:
    theta = icl.extract(tiny.model, PAIRS, DUMMIES, method="state-vector")
    with torch.no_grad():
        arrow = tiny.tokenizer.convert_tokens_to_ids("→")
        whole = prompt_ids(tiny, DUMMIES[0])
        places = [place for place, token in enumerate(whole) if token == arrow]
        earlier = [twin.attention_at(tiny.plain, whole, place) for place in places[1:-1]]
        last = [twin.attention_at(tiny.plain, prompt_ids(tiny, dummy), -1) for dummy in DUMMIES]
        expected = torch.stack([*earlier, torch.stack(last).mean(0)]).mean(0)
        assert_close(theta.vectors, expected, rtol=1e-4, atol=1e-4)
        for layer in (1, 3):
            found = logits_of(tiny.model, theta, layer=layer)
            for ids, logits in zip(ids_of(tiny), found, strict=True):
                moved = twin.with_attention(tiny.plain, ids, layer, theta.vectors)
                assert_close(logits, moved, rtol=1e-4, atol=1e-4)


def test_a_mean_over_contexts_is_replaced_or_added(tiny: Tiny) -> None:
    settings: dict[str, Any] = {"prompts": 3, "seed": 3}
    replaced = icl.extract(tiny.model, TASK, method="state-mean", **settings)
    added = icl.extract(tiny.model, TASK, method="state-mean-add", **settings)
    own = icl.extract(tiny.model, TASK, **settings)
    assert_close(replaced.vectors, added.vectors)
    assert_close(replaced.vectors, own.vectors, rtol=1e-5, atol=1e-5)
    for theta, put_in in ((replaced, plain.injected_logits), (added, twin.with_added)):
        for ids, logits in zip(ids_of(tiny), logits_of(tiny.model, theta, layer=2), strict=True):
            with torch.no_grad():
                expected = put_in(tiny.plain, ids, 2, theta.vectors[2])
            assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_a_vector_with_a_way_of_its_own_is_put_in_no_other(llama: icl.Model) -> None:
    pairs = {"a": "A", "b": "B", "c": "C", "d": "D"}
    icv = icl.extract(llama, pairs, ["e"], method="icv")
    with pytest.raises(icl.IclVectorsError, match="a way of its own"):
        icl.apply(llama, icv, ["f"], mode="add")
    with pytest.raises(icl.IclVectorsError, match="is injected at all layers"):
        icl.apply(llama, icv, ["f"], layer=1)
    state = icl.extract(llama, pairs, ["e"])
    with pytest.raises(icl.IclVectorsError, match="method"):
        icv + state

"""The whole path in every experiment: the cached one gives the same, plain hooks too."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.experiments.compare.prompts import variant
from icl_vectors.experiments.compare.summary import cost_of
from icl_vectors.methods.cost import tokens_of
from icl_vectors.methods.prepare import Contexts, method_batches
from icl_vectors.methods.registry import METHODS
from icl_vectors.methods.session import Batches, run_method
from icl_vectors.models.load import Model
from icl_vectors.prompts.limits import encode_prompts
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from tests.benchmarks.measure import counted
from tests.families import random_of_family
from tests.tiny import bytes_tokenizer, load_plain, save_model
from tests.twins import plain
from tests.twins.blocks import watched
from tests.twins.prompts import token_ids

FAMILIES = ("jamba", "mistral3", "dory")  # a hybrid, text and images, blocks in a loop
QUERIES = ["Spain", "Peru", "United Kingdom"]
STATES = "state,state-mean,state-mean-add,icv,multi"
EVERY = f"{STATES},learned,linear"


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(str(request.param))
    return save_model(place, random_of_family(str(request.param)), bytes_tokenizer())


@pytest.fixture(scope="module")
def opened(folder: Path) -> Model:
    return icl.load_model(str(folder))


@pytest.fixture(scope="module")
def both(llama_folder: Path) -> tuple[Model, Model]:
    """One model on the cached path, which it takes, and on the whole path."""
    model = icl.load_model(str(llama_folder))
    assert model.way.cached
    return model, replace(model, way=replace(model.way, cached=False))


def everything(model: Model, place: Path) -> dict[str, Any]:
    """What every experiment gives on a few prompts."""
    asked: dict[str, Any] = {"shots": 3, "dev": 3, "test": 3, "batch_size": 3}
    tasks = ["to_upper", "country_capital"]
    few: dict[str, Any] = {"dev": 3, "test": 3}
    assert icl.check(model).passed
    found = {
        "sweep": icl.sweep(model, tasks, answer="generate", **asked),
        "conflict": icl.conflict(model, "next_letter:to_upper", **asked),
        "cluster": icl.cluster(model, tasks, per_task=4, output=place / "b", **asked),
        "vocabulary": icl.vocabulary(model, tasks, **few),
        "compare": icl.compare(model, tasks, methods=EVERY, layers="1,2", **asked),
    }
    parts = {"sweep": "tasks"}
    return {name: results.data[parts.get(name, name)] for name, results in found.items()}


def assert_alike(one: Any, other: Any) -> None:
    """The same in everything but rounding and cost."""
    if isinstance(one, dict):
        for name in one.keys() - {"layer_tokens", "layer_tokens_choosing", "cost", "seconds"}:
            assert_alike(one[name], other[name])
    elif isinstance(one, list | tuple):
        for part, of_other in zip(one, other, strict=True):
            assert_alike(part, of_other)
    else:
        assert one == (pytest.approx(other, abs=1e-3) if isinstance(one, float) else other)


def test_experiments_are_the_same_on_both_paths(both: tuple[Model, Model], tmp_path: Path) -> None:
    cached, whole = (everything(model, tmp_path / model.way.name) for model in both)
    for name, found in cached.items():
        assert_alike(found, whole[name])


def test_methods_that_look_into_attention_fail(both: tuple[Model, Model], tmp_path: Path) -> None:
    asked: dict[str, Any] = {"methods": "function", "dev": 2, "test": 2}
    with pytest.raises(icl.IclVectorsError, match="use methods that read whole states"):
        icl.compare(both[1], ["to_upper"], output=tmp_path / "run", **asked)


@pytest.mark.parametrize("name", STATES.split(","))
def test_a_method_s_cost_is_what_blocks_see(both: tuple[Model, Model], name: str) -> None:
    method, form = METHODS[name], Template()
    prompts = sample_prompts(
        icl.load_task("country_capital"), seed=1, dev=5, test=4, shots=3, dummies=2
    )
    for model in both:
        dev, test = (encode_prompts(model, form, part) for part in prompts)
        on_dev, on_test = (
            method_batches(model, form, method, part, Contexts(dev), 3, 1) for part in (dev, test)
        )
        groups = method.candidates(range(4), {})
        with counted(model.nnsight._module) as seen:
            batches = Batches(on_dev if method.pooled else [], on_dev, on_test)
            found = run_method(model, method, {}, batches, groups, [variant()])
        chosen = [one for group in groups for one in group][found["chosen"]]
        cost = sum(cost_of(method, groups, chosen, on_dev, on_dev, on_test, 4).values())
        regular = sum(tokens_of(batch, "whole") for batch in on_test) * 4
        first = tokens_of({"arrow": on_dev[0]["arrow"][:1]}, "arrow")  # what a session looks at
        assert cost + regular + first * (1 if model.way.cached else 4) == sum(seen)


def test_every_experiment_runs_on_a_hybrid_and_a_wrapper(opened: Model, tmp_path: Path) -> None:
    found = everything(opened, tmp_path)
    assert len(found["sweep"]) == 2 and all(found.values())
    run = json.loads((tmp_path / "b" / "run.json").read_text("utf-8"))
    assert run["path"] == {"name": opened.way.name, "reason": opened.way_reason}


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_written_answers_are_those_of_plain_hooks(opened: Model, folder: Path, mode: Any) -> None:
    by_hand, tokenizer = load_plain(folder), opened.tokenizer
    rows = [token_ids(tokenizer, f"{query}→") for query in QUERIES]
    assert len({len(row) for row in rows}) > 1
    theta = icl.extract(opened, {"Kenya": "Nairobi", "Cuba": "Havana"}, dummies=["Chad"])
    ids = token_ids(tokenizer, "Kenya→Nairobi\nCuba→Havana\nChad→")
    assert_close(theta.vectors, plain.states(by_hand, ids), rtol=1e-4, atol=1e-4)
    answers = icl.apply(
        opened, theta, QUERIES, layer=2, mode=mode, max_new_tokens=4, top_k=1, return_logits=True
    )
    given = [theta.vectors[2] + plain.states(by_hand, row)[2] * (mode == "add") for row in rows]
    expected = [
        plain.injected_logits(by_hand, row, 2, one) for row, one in zip(rows, given, strict=True)
    ]
    assert answers.logits is not None
    assert_close(answers.logits, torch.stack(expected), rtol=1e-3, atol=1e-3)
    written = [_greedy(by_hand, row, one, 4) for row, one in zip(rows, given, strict=True)]
    for text, tokens in zip(answers.texts, written, strict=True):
        assert text == _text(tokenizer, tokens)


def _greedy(by_hand: Any, row: list[int], vector: torch.Tensor, steps: int) -> list[int]:
    """Tokens written with θ at the arrow, each from the whole text anew."""
    tokens: list[int] = []
    for _ in range(steps):
        tokens.append(_next(by_hand, row, tokens, vector))
    return tokens


def _next(by_hand: Any, row: list[int], tokens: list[int], vector: torch.Tensor) -> int:
    def put(layer: int, state: torch.Tensor) -> None:
        if layer == 2:
            state[:, len(row) - 1] = vector

    with watched(by_hand, put):
        return plain.next_token(by_hand, [*row, *tokens])


def _text(tokenizer: Any, tokens: list[int]) -> str:
    kept: list[int] = []
    for token in tokens:
        if token == tokenizer.eos_token_id:
            break
        kept.append(token)
    return str(tokenizer.decode(kept, skip_special_tokens=True)).split("\n")[0].strip()

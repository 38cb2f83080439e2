import ast
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nnsight
import pytest
import torch

from icl_vectors import methods
from icl_vectors.experiments.compare.prompts import variant
from icl_vectors.graph import generate as writing
from icl_vectors.graph import passes
from icl_vectors.graph.answers import run_answers
from icl_vectors.graph.task import run_task
from icl_vectors.methods.prepare import Contexts, method_batches
from icl_vectors.methods.registry import METHODS
from icl_vectors.methods.session import run_method, run_ranking
from icl_vectors.models.load import Model
from icl_vectors.prompts.batches import make_batches, whole_prompts
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import load_task
from tests.method_batches import batches_of


def run(model: Model) -> dict[str, Any]:
    dev, test = (
        [encode_prompt(model.tokenizer, Template(), prompt, 500) for prompt in prompts]
        for prompts in sample_prompts(load_task("to_upper"), dev=3, test=3)
    )
    on_dev = make_batches(dev, 2, model.way, with_query=False)
    return run_task(model, on_dev, make_batches(test, 2, model.way), [0, 1, 2, 3])


def write(model: Model) -> dict[str, Any]:
    test = [
        encode_prompt(model.tokenizer, Template(), prompt, 500)
        for prompt in sample_prompts(load_task("to_upper"), dev=0, test=3)[1]
    ]
    batches = make_batches(test, 2, model.way, with_query=False)
    whole, alone = (
        [whole_prompts(part, model.way) for part in (rows[:2], rows[2:])]
        for rows in ([one.shared + one.suffixes[0] for one in test], [one.alone for one in test])
    )
    return run_answers(model, batches, whole, alone, 1, 5, (7,))


def compare_by(name: str, model: Model) -> dict[str, Any]:
    method = METHODS[name]
    dev, test = (
        [encode_prompt(model.tokenizer, Template(), prompt, 500) for prompt in prompts]
        for prompts in sample_prompts(load_task("to_upper"), dev=3, test=3)
    )
    settings = {"ranked": [(1, 2), (0, 1)], "counts": [1, 2]}
    batches = batches_of(model, method, dev, test)
    groups = method.candidates([0, 2], settings)
    variants = [variant(), variant(noise=3)]
    found = run_method(model, method, settings, batches, groups, variants)
    measured = torch.stack([column for one in found.pop("measured") for column in one])
    return {**found, "measured": measured}


def rank_heads(model: Model) -> dict[str, Any]:
    dev = [
        encode_prompt(model.tokenizer, Template(), prompt, 500)
        for prompt in sample_prompts(load_task("to_upper"), dev=3, test=0)[0]
    ]
    batches = method_batches(model, Template(), METHODS["function"], dev, Contexts(dev), 2, 41)
    return {"effects": run_ranking(model, batches, batches, METHODS["function"])}


def test_the_passes_import_nothing_that_a_server_lacks() -> None:
    tree = ast.parse(Path(passes.__file__).read_text("utf-8"))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"copy", "typing", "torch"}


ATTENTION = ("function", "state-vector")
SESSIONS = [run, write, rank_heads, *(partial(compare_by, name) for name in METHODS)]


ON_WHOLE_PROMPTS = [run, write, *(partial(compare_by, n) for n in METHODS if n not in ATTENTION)]


@pytest.mark.parametrize("run", SESSIONS)
def test_a_session_that_was_serialised_as_for_a_server_gives_the_same(
    llama: Model, monkeypatch: pytest.MonkeyPatch, run: Callable[[Model], dict[str, Any]]
) -> None:
    assert_the_same_there(llama, monkeypatch, run)


@pytest.mark.parametrize("run", ON_WHOLE_PROMPTS)
def test_so_does_one_of_whole_prompts(
    llama: Model, monkeypatch: pytest.MonkeyPatch, run: Callable[[Model], dict[str, Any]]
) -> None:
    whole = replace(llama, way=replace(llama.way, cached=False))
    assert_the_same_there(whole, monkeypatch, run)


def assert_the_same_there(
    llama: Model, monkeypatch: pytest.MonkeyPatch, run: Callable[[Model], dict[str, Any]]
) -> None:
    here = run(llama)
    nnsight.register(passes)
    nnsight.register(writing)
    nnsight.register(methods)
    session = partial(llama.nnsight.session, remote="local")
    monkeypatch.setattr(llama.nnsight, "session", session)
    there = run(llama)
    assert here.keys() == there.keys()
    for name in here:
        assert torch.equal(torch.as_tensor(here[name]), torch.as_tensor(there[name])), name

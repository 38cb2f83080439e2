import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nnsight
import pytest
import torch

from icl_vectors import passes
from icl_vectors.batches import make_batches, whole_prompts
from icl_vectors.encoding import encode_prompt
from icl_vectors.graph import run_task
from icl_vectors.graph_of_answers import run_answers
from icl_vectors.models import Model
from icl_vectors.prompts import sample_prompts
from icl_vectors.tasks import load_task
from icl_vectors.templates import Template


def run(model: Model) -> dict[str, Any]:
    dev, test = (
        [encode_prompt(model.tokenizer, Template(), prompt, 500) for prompt in prompts]
        for prompts in sample_prompts(load_task("to_upper"), dev=3, test=3)
    )
    on_dev = make_batches(dev, 2, takes_positions=True, with_query=False)
    return run_task(model, on_dev, make_batches(test, 2, takes_positions=True), [0, 1, 2, 3])


def write(model: Model) -> dict[str, Any]:
    test = [
        encode_prompt(model.tokenizer, Template(), prompt, 500)
        for prompt in sample_prompts(load_task("to_upper"), dev=0, test=3)[1]
    ]
    batches = make_batches(test, 2, takes_positions=True, with_query=False)
    whole, alone = (
        [whole_prompts(part, True) for part in (rows[:2], rows[2:])]
        for rows in (
            [one.shared + one.suffixes[0] for one in test],
            [one.alone for one in test],
        )
    )
    return run_answers(model, batches, whole, alone, 1, 5, (7,))


def test_the_passes_import_nothing_that_a_server_lacks() -> None:
    tree = ast.parse(Path(passes.__file__).read_text("utf-8"))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"copy", "typing", "torch"}


@pytest.mark.parametrize("run", [run, write])
def test_a_session_that_was_serialised_as_for_a_server_gives_the_same(
    llama: Model, monkeypatch: pytest.MonkeyPatch, run: Callable[[Model], dict[str, Any]]
) -> None:
    here = run(llama)
    nnsight.register(passes)
    session = partial(llama.nnsight.session, remote="local")
    monkeypatch.setattr(llama.nnsight, "session", session)
    there = run(llama)
    assert here.keys() == there.keys()
    for name in here:
        assert torch.equal(torch.as_tensor(here[name]), torch.as_tensor(there[name])), name

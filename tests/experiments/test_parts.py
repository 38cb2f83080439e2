from collections.abc import Sequence
from typing import Any

import pytest
import torch

from icl_vectors.engine.parts import run_in_parts
from icl_vectors.errors import OutOfTime
from icl_vectors.graph.task import run_task
from icl_vectors.models.load import Model
from icl_vectors.prompts.batches import Way, make_batches
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import load_task

LAYERS = [0, 1, 2, 3]


class Slow:
    """Sessions that take too long where they have more than some layers, or dev and test."""

    def __init__(self, model: Model, most: int) -> None:
        self.model, self.most = model, most
        self.ran: list[tuple[bool, bool, list[int]]] = []
        self.dev, self.test = (
            [encode_prompt(model.tokenizer, Template(), prompt, 500) for prompt in prompts]
            for prompts in sample_prompts(load_task("to_upper"), dev=5, test=4)
        )

    def __call__(self, with_dev: bool, with_test: bool, layers: Sequence[int]) -> dict[str, Any]:
        if len(layers) > self.most or (with_dev and with_test and self.most < len(LAYERS)):
            raise OutOfTime("too long.")
        self.ran.append((with_dev, with_test, list(layers)))
        dev = make_batches(self.dev, 2, Way(True), with_query=False) if with_dev else []
        test = make_batches(self.test, 2, Way(True)) if with_test else []
        return run_task(self.model, dev, test, layers)


def accepted_by(model: Model, answers: dict[str, Any], layer: int) -> list[EncodedPrompt]:
    """Prompts whose right answer is what one layer gave, so that this layer is best."""
    from dataclasses import replace

    slow = Slow(model, 4)
    tokens = answers["dev_swept"][:, layer].tolist()
    return [replace(one, accepted=(token,)) for one, token in zip(slow.dev, tokens, strict=True)]


@pytest.mark.parametrize(("most", "sessions"), [(4, 1), (2, 3), (1, 5)])
def test_parts_give_what_one_session_gives(llama: Model, most: int, sessions: int) -> None:
    whole = Slow(llama, 4)
    first = whole(True, True, LAYERS)
    dev = accepted_by(llama, first, 2)
    logged: list[str] = []
    slow = Slow(llama, most)
    slow.dev = whole.dev = dev
    expected = whole(True, True, LAYERS)
    found = run_in_parts(slow, dev, LAYERS, logged.append)
    assert expected["best"] == 2
    assert len(slow.ran) == sessions
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(torch.as_tensor(found[name]), torch.as_tensor(expected[name])), name
    assert bool(logged) == (most < 4)


def test_a_single_layer_that_takes_too_long_ends_the_run(llama: Model) -> None:
    slow = Slow(llama, 0)
    with pytest.raises(OutOfTime):
        run_in_parts(slow, slow.dev, LAYERS, lambda text: None)
    assert slow.ran == []

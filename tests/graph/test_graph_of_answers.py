from typing import Any

import pytest
import torch
from torch import Tensor

from icl_vectors.graph.answers import run_answers
from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.prompts.batches import make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import Task
from tests.benchmarks.random_model import word
from tests.tiny import N_LAYERS, Tiny
from tests.twins.generate import generate

STEPS = 7
UNEQUAL = Task.from_pairs(
    "unequal", {"_".join(word(i + k) for k in range(1 + i % 4)): word(i + 50) for i in range(20)}
)


def encoded(tiny: Tiny) -> list[EncodedPrompt]:
    prompts = sample_prompts(UNEQUAL, dev=0, test=6, shots=3)[1]
    return [encode_prompt(tiny.tokenizer, Template(), prompt, 500) for prompt in prompts]


def run(tiny: Tiny, size: int, layer: int, ends: tuple[int, ...] = ()) -> dict[str, Any]:
    prompts, positions = encoded(tiny), tiny.model.way
    parts = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    whole = [whole_prompts([p.shared + p.suffixes[0] for p in part], positions) for part in parts]
    alone = [whole_prompts([p.alone for p in part], positions) for part in parts]
    batches = make_batches(prompts, size, positions, with_query=False)
    return run_answers(tiny.model, batches, whole, alone, layer, STEPS, ends)


def thetas(tiny: Tiny) -> Tensor:
    batches = make_batches(encoded(tiny), 99, tiny.model.way)
    return run_many_thetas(tiny.model, batches, None)  # (prompt, layer, hidden)


def until(rows: list[list[int]], ends: tuple[int, ...]) -> list[list[int]]:
    cut = []
    for row in rows:
        stop = next((i for i, token in enumerate(row) if token in (-1, *ends)), len(row))
        cut.append(row[:stop])
    return cut


@pytest.mark.parametrize(("size", "layer"), [(1, 2), (6, 0), (6, 3)])
def test_answers_are_those_of_generate_with_hooks(tiny: Tiny, size: int, layer: int) -> None:
    prompts = encoded(tiny)
    assert len({len(prompt.alone) for prompt in prompts}) > 2  # some rows are padded
    found = run(tiny, size, layer)
    put_in = {layer: thetas(tiny)[:, layer]}
    whole = [[*prompt.shared, *prompt.suffixes[0]] for prompt in prompts]
    alone = [prompt.alone for prompt in prompts]
    assert found["regular"].tolist() == generate(tiny.plain, whole, STEPS)
    assert found["baseline"].tolist() == generate(tiny.plain, alone, STEPS)
    assert found["hypothesis"].tolist() == generate(tiny.plain, alone, STEPS, put_in=put_in)
    assert bool(found["finite"])


def test_answers_stop_where_generate_stops(tiny: Tiny) -> None:
    written = run(tiny, 6, 1)["hypothesis"].tolist()
    ends = (written[0][2], written[1][0], written[2][4])
    found = run(tiny, 6, 1, ends)["hypothesis"].tolist()
    prompts = encoded(tiny)
    put_in = {1: thetas(tiny)[:, 1]}
    rows = [prompt.alone for prompt in prompts]
    assert until(found, ends) == generate(tiny.plain, rows, STEPS, put_in=put_in, ends=ends)


def test_no_token_is_written_once_every_answer_has_ended(tiny: Tiny) -> None:
    written = run(tiny, 6, 1)
    firsts = {row[0] for name in ("regular", "baseline", "hypothesis") for row in written[name]}
    found = run(tiny, 6, 1, tuple(int(token) for token in firsts))
    for name in ("regular", "baseline", "hypothesis"):
        assert torch.equal(found[name][:, 0], written[name][:, 0])
        assert (found[name][:, 1:] == -1).all()


def test_theta_changes_what_is_written(tiny: Tiny) -> None:
    found = run(tiny, 6, N_LAYERS - 1)
    assert not torch.equal(found["hypothesis"], found["baseline"])

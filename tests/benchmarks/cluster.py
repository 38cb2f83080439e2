"""Many θ per task at one layer: the package against the least that this needs, in plain PyTorch.

usage: python -m tests.benchmarks.cluster --model FOLDER --tasks 4 --per-task 50
The floor reads the demonstrations once a prompt, shares them among the dummies, and stops at the
chosen block. Both run by turns in one process after a warm-up; the least time of each counts.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.models.load import Model, load_model
from icl_vectors.models.memory import choose_batch_size
from icl_vectors.prompts.batches import make_batches
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import list_tasks, load_task
from tests.benchmarks.batches import continued, left_padded
from tests.benchmarks.floor import _body, _chunks, _shared
from tests.benchmarks.measure import counted, load
from tests.twins.blocks import decoder_blocks, residual
from tests.twins.cache import CACHE

SHOTS, DUMMIES = 4, 2  # of the paper's experiment
COLUMNS = "| model | block | tasks × θ | floor s | package s | ratio | layer-tokens | largest gap |"


class Stop(Exception):
    """Ends a forward pass at the block that is wanted."""


class Cost(NamedTuple):
    """The least time of a procedure, and what it gave."""

    seconds: float
    thetas: Tensor  # (prompt, hidden)


@torch.no_grad()
def floor(
    model: PreTrainedModel, encoded: list[EncodedPrompt], layer: int, batch_size: int
) -> Tensor:
    """θ at one layer, (prompt, hidden)."""
    thetas = []
    for prompts in _chunks(encoded, batch_size):
        rows = [_dummies(prompt) for prompt in prompts]
        shared, width = [_shared(own) for own in rows], len(rows[0])
        starts = [own[0][:n] for own, n in zip(rows, shared, strict=True)]
        ends = [row[n:] for own, n in zip(rows, shared, strict=True) for row in own]
        past, cache = left_padded(starts, model.device), DynamicCache(config=model.config)
        with stopped(model, layer):
            _body(model, past, **{CACHE: cache}, use_cache=True)
        cache.batch_repeat_interleave(width)
        mask = past.mask.repeat_interleave(width, 0)
        with stopped(model, layer) as states:
            batch = continued(mask, left_padded(ends, model.device))
            _body(model, batch, **{CACHE: cache}, use_cache=True)
        thetas.append(states[0].view(len(rows), width, -1).float().mean(1))
    return torch.cat(thetas)


@contextmanager
def stopped(model: PreTrainedModel, layer: int) -> Iterator[list[Tensor]]:
    """A list that gets the last token's state of a block, (row, hidden); it ends the pass."""
    states: list[Tensor] = []

    def stop(block: nn.Module, inputs: Any, output: Any) -> None:
        states.append(residual(output)[:, -1].clone())
        raise Stop

    handle = decoder_blocks(model)[layer].register_forward_hook(stop)
    try:
        yield states
    except Stop:
        pass
    finally:
        handle.remove()


def package(model: Model, encoded: list[EncodedPrompt], layer: int, batch_size: int) -> Tensor:
    """The same as `cluster` runs it."""
    positions = model.way
    batches = make_batches(encoded, batch_size, positions, with_query=False)
    return run_many_thetas(model, batches, layer)[:, 0]


def compared(folder: str, n_tasks: int, per_task: int, layer: int | None, repeats: int) -> str:
    """A row of the table: times, their ratio, and how far the two results are apart."""
    model, module = load_model(folder, dtype="float32"), load(folder, "float32").module
    at_layer = model.n_layers // 2 if layer is None else layer
    workload = [_encoded(model, name, per_task) for name in list_tasks()[:n_tasks]]
    size = choose_batch_size(model, workload[0])

    def by_floor() -> Tensor:
        return torch.cat([floor(module, task, at_layer, size) for task in workload])

    def by_package() -> Tensor:
        return torch.cat([package(model, task, at_layer, size) for task in workload])

    floor(module, workload[0][:2], at_layer, size)
    package(model, workload[0][:2], at_layer, size)
    with counted(module) as layer_tokens:
        by_floor()
    plain, own = _by_turns([by_floor, by_package], repeats)
    cells = [
        Path(folder).name,
        f"{at_layer} of {model.n_layers}",
        f"{n_tasks} × {per_task}",
        f"{plain.seconds:.2f}",
        f"{own.seconds:.2f}",
        f"{own.seconds / plain.seconds:.2f}",
        f"{sum(layer_tokens):,}",
        f"{_gap(plain.thetas, own.thetas):.0e}",
    ]
    return "| " + " | ".join(cells) + " |"


def _gap(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the longest vector's length."""
    apart = (one - other).norm(dim=-1).max() / one.norm(dim=-1).max()
    return float(apart)


def _by_turns(procedures: list[Callable[[], Tensor]], repeats: int) -> list[Cost]:
    costs: list[list[Cost]] = [[] for _ in procedures]
    for repeat in range(repeats):
        print(f"run {repeat + 1} of {repeats}", file=sys.stderr)
        for procedure, own in zip(procedures, costs, strict=True):
            started = time.perf_counter()
            thetas = procedure()
            own.append(Cost(time.perf_counter() - started, thetas))
    return [min(own, key=lambda cost: cost.seconds) for own in costs]


def _encoded(model: Model, task: str, per_task: int) -> list[EncodedPrompt]:
    prompts = sample_prompts(load_task(task), dev=0, test=per_task, shots=SHOTS, dummies=DUMMIES)[1]
    limit = positions_limit(model)
    return [encode_prompt(model.tokenizer, Template(), prompt, limit) for prompt in prompts]


def _dummies(prompt: EncodedPrompt) -> list[list[int]]:
    return [[*prompt.shared, *suffix] for suffix in prompt.suffixes[1:]]


def main() -> None:
    """Reads the arguments, measures, prints the table."""
    parser = argparse.ArgumentParser(description="Many θ per task at one layer, against the floor.")
    parser.add_argument("--model", required=True, help="a transformers folder")
    parser.add_argument("--tasks", type=int, default=4, help="how many of the 18")
    parser.add_argument("--per-task", type=int, default=50, help="θ per task")
    parser.add_argument("--layer", type=int, help="by default the middle one")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    row = compared(given.model, given.tasks, given.per_task, given.layer, given.repeats)
    print("\n".join([COLUMNS, "|---" * COLUMNS.count(" |") + "|", row]))


if __name__ == "__main__":
    main()

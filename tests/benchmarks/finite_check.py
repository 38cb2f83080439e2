"""What the check for NaN and infinity costs: its operations alone, beside the whole of a task.

usage: python -m tests.benchmarks.finite_check [--model gemma-3-270m] [--dtype float32]
"""

import argparse
from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch

from icl_vectors.graph.task import GROUP, run_task
from icl_vectors.models.load import Model, load_model
from icl_vectors.prompts.batches import layer_groups, make_batches
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import load_task

PROMPTS, REPEATS = 25, 200


def check_seconds(model: Model) -> float:
    """One batch's checks on dev and on test, on tensors of the shapes that a session has."""
    depth, hidden = model.n_layers, model.config.hidden_size
    held = next(model.nnsight._module.parameters()).dtype
    theta = torch.randn(PROMPTS, depth, hidden).to(held)  # (prompt, layer, hidden)
    groups = len(list(layer_groups(range(depth), GROUP)))
    largest = torch.randn(PROMPTS, GROUP).to(held)  # (prompt, candidate)

    def check() -> None:
        for reduced in (groups + 1, 2):  # dev: each group and the dummies; test: two
            fine = [theta.isfinite().all(-1).all(0)]
            fine += [largest.isfinite().all() for _ in range(reduced)]

    return _seconds(check, REPEATS)


def task_seconds(model: Model) -> float:
    """One batch on dev and one on test, as `sweep` runs them."""
    dev, test = sample_prompts(load_task("present_simple_gerund"), dev=PROMPTS, test=PROMPTS)
    limit, positions = positions_limit(model), model.way
    encoded: Any = [
        [encode_prompt(model.tokenizer, Template(), one, limit) for one in part]
        for part in (dev, test)
    ]
    on_dev = make_batches(encoded[0], PROMPTS, positions, with_query=False)
    on_test = make_batches(encoded[1], PROMPTS, positions)
    return _seconds(lambda: run_task(model, on_dev, on_test, range(model.n_layers)), 1)


def _seconds(work: Callable[[], Any], repeats: int) -> float:
    work()
    start = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - start) / repeats


def main() -> None:
    """Measures both and prints their ratio."""
    parser = argparse.ArgumentParser(description="The cost of the check for NaN and infinity.")
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()
    model = load_model(arguments.model, dtype=arguments.dtype)
    check, task = check_seconds(model), task_seconds(model)
    print(
        f"{arguments.model}, {arguments.dtype}: checks {1e3 * check:.2f} ms of "
        f"{1e3 * task:.0f} ms, {check / task:.3%}"
    )


if __name__ == "__main__":
    main()

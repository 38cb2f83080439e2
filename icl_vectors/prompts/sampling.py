"""Prompts: which pairs are demonstrated, which inputs are dummies, which is the query.

Drawn from the task's data and the seed alone, so they are the same for every model and dtype.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from icl_vectors.errors import IclVectorsError
from icl_vectors.tasks.bijections import CATEGORY as BIJECTION
from icl_vectors.tasks.task import Task, list_tasks

Split: TypeAlias = Literal["dev", "test"]
FEW_LABELS = 20


@dataclass(frozen=True)
class Prompt:
    """One in-context-learning prompt: demonstrations S, dummy queries x′, and the query x.

    Attributes:
        demonstrations: (input, output) pairs, in the order of the prompt.
        dummies: inputs that stand in for the query when θ is read; never the query.
        answers: accepted outputs for the query.
        instruction: replaces the demonstrations where θ is read; "" where they do.
    """

    id: str
    task: str
    seed: int
    split: Split
    query: str
    answers: tuple[str, ...]
    demonstrations: tuple[tuple[str, str], ...]
    dummies: tuple[str, ...]
    instruction: str = ""


def has_few_labels(task: Task) -> bool:
    """Whether a task's prompts are drawn by label: 2 to 20 labels, each of two inputs or more.

    (Of two on average.) The 18 tasks of the paper never are: their prompts are its plain draw.
    """
    most = min(FEW_LABELS, len(task.pairs) // 2)
    return task.name not in list_tasks() and 2 <= len(task.labels) <= most


def sample_prompts(
    task: Task,
    *,
    seed: int = 41,
    dev: int = 50,
    test: int = 50,
    shots: int = 5,
    dummies: int = 2,
    unbalanced: bool = False,
) -> tuple[list[Prompt], list[Prompt]]:
    """Dev and test prompts of a task.

    Queries are distinct, and those of dev and test disjoint, as far as the task has inputs: test
    takes its queries first, dev those that are left, and both start again when none are left.
    Demonstrations and dummies are drawn anew for each prompt, without the query. Where a task has
    few labels, dummies have different labels as far as there are some, and demonstrations are
    spread evenly over the labels.

    Args:
        unbalanced: draw demonstrations whatever their labels.

    Raises:
        IclVectorsError: the task has fewer pairs than one prompt needs.
    """
    require_pairs([task], shots, dummies)
    inputs = sorted(task.inputs)
    queries = _endless(inputs, random.Random(f"{seed}:{task.name}:queries"))
    test_queries = [next(queries) for _ in range(test)]
    dev_queries = [next(queries) for _ in range(dev)]
    counts = (shots, dummies, unbalanced)
    return (
        _prompts(task, inputs, "dev", seed, dev_queries, *counts),
        _prompts(task, inputs, "test", seed, test_queries, *counts),
    )


def require_pairs(tasks: Sequence[Task], shots: int, dummies: int, queries: int = 1) -> None:
    """Refuse tasks with fewer pairs than one prompt needs.

    Raises:
        IclVectorsError: naming the tasks.
    """
    needed = shots + dummies + queries
    both = {task.name: queries * (task.category == BIJECTION) for task in tasks}  # partners
    short = [
        f"{task.name} has {len(task.pairs)}"
        for task in tasks
        if len(task.pairs) < needed + both[task.name]
    ]
    if short:
        partners = ", and as many for its partner in a bijection" if any(both.values()) else ""
        raise IclVectorsError(
            f"a prompt needs {needed} pairs ({shots} demonstrations, {dummies} dummies, "
            f"{queries} for the query{partners}), "
            f"found fewer: {', '.join(short)}; lower --shots or --dummies, or leave the task out."
        )


def _endless(inputs: Sequence[str], draw: random.Random) -> Iterator[str]:
    while True:
        yield from draw.sample(inputs, len(inputs))


def telling(task: Task, query: str) -> set[str]:
    """Inputs whose demonstration would show the query's answer: itself, its partner both ways."""
    if task.category != BIJECTION:
        return {query}
    return {query, *(answer for answer in task.answers[query] if answer in task.answers)}


def _prompts(
    task: Task,
    inputs: Sequence[str],
    split: Split,
    seed: int,
    queries: Sequence[str],
    shots: int,
    dummies: int,
    unbalanced: bool,
) -> list[Prompt]:
    by_label = has_few_labels(task)
    draw = random.Random(f"{seed}:{task.name}:{split}")
    prompts = []
    for number, query in enumerate(queries):
        hidden = telling(task, query)
        drawn = draw.sample(inputs, len(inputs) if by_label else shots + dummies + len(hidden))
        others = [input for input in drawn if input not in hidden]
        if by_label:
            others = _by_label(task, others, draw, shots, dummies, unbalanced)
        prompts.append(
            Prompt(
                id=f"{task.name}-{seed}-{split}-{number:04d}",
                task=task.name,
                seed=seed,
                split=split,
                query=query,
                answers=task.answers[query],
                demonstrations=tuple(task.demonstration(input) for input in others[:shots]),
                dummies=tuple(others[shots : shots + dummies]),
            )
        )
    return prompts


def _by_label(
    task: Task, inputs: list[str], draw: random.Random, shots: int, dummies: int, unbalanced: bool
) -> list[str]:
    """Inputs of the demonstrations, then the dummies, from inputs in a random order."""
    of_dummies = _in_turn(task, inputs, draw)[:dummies]
    left = [input for input in inputs if input not in of_dummies]
    shown = (left if unbalanced else _in_turn(task, left, draw))[:shots]
    return [*draw.sample(shown, len(shown)), *of_dummies]


def _in_turn(task: Task, inputs: Sequence[str], draw: random.Random) -> list[str]:
    """One input of every label, in a random order of labels, then the next one of every label."""
    of_label: dict[str, list[str]] = {}
    for input in inputs:
        of_label.setdefault(task.answers[input][0], []).append(input)
    found = []
    while of_label:
        for label in draw.sample(sorted(of_label), len(of_label)):
            found.append(of_label[label].pop(0))
            if not of_label[label]:
                del of_label[label]
    return found

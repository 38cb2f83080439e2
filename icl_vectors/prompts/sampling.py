"""Prompts: which pairs are demonstrated, which inputs are dummies, which is the query.

Drawn from the task's data and the seed alone, so they are the same for every model and dtype.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from icl_vectors.errors import IclVectorsError
from icl_vectors.tasks.bijections import CATEGORY as BIJECTION
from icl_vectors.tasks.task import Task

Split: TypeAlias = Literal["dev", "test"]


@dataclass(frozen=True)
class Prompt:
    """One in-context-learning prompt: demonstrations S, dummy queries x′, and the query x.

    Attributes:
        demonstrations: (input, output) pairs, in the order of the prompt.
        dummies: inputs that stand in for the query when θ is read; never the query.
        answers: accepted outputs for the query.
    """

    id: str
    task: str
    seed: int
    split: Split
    query: str
    answers: tuple[str, ...]
    demonstrations: tuple[tuple[str, str], ...]
    dummies: tuple[str, ...]


def sample_prompts(
    task: Task, *, seed: int = 41, dev: int = 50, test: int = 50, shots: int = 5, dummies: int = 2
) -> tuple[list[Prompt], list[Prompt]]:
    """Dev and test prompts of a task.

    Queries are distinct, and those of dev and test disjoint, as far as the task has inputs: test
    takes its queries first, dev those that are left, and both start again when none are left.
    Demonstrations and dummies are drawn anew for each prompt, without the query.

    Raises:
        IclVectorsError: the task has fewer pairs than one prompt needs.
    """
    require_pairs([task], shots, dummies)
    inputs = sorted(task.inputs)
    queries = _endless(inputs, random.Random(f"{seed}:{task.name}:queries"))
    test_queries = [next(queries) for _ in range(test)]
    dev_queries = [next(queries) for _ in range(dev)]
    return (
        _prompts(task, inputs, "dev", seed, dev_queries, shots, dummies),
        _prompts(task, inputs, "test", seed, test_queries, shots, dummies),
    )


def require_pairs(tasks: Sequence[Task], shots: int, dummies: int, queries: int = 1) -> None:
    """Refuse tasks with fewer pairs than one prompt needs.

    Raises:
        IclVectorsError: naming the tasks.
    """
    needed = shots + dummies + queries
    short = [f"{task.name} has {len(task.pairs)}" for task in tasks if len(task.pairs) < needed]
    if short:
        raise IclVectorsError(
            f"a prompt needs {needed} pairs ({shots} demonstrations, {dummies} dummies, "
            f"{queries} for the query), "
            f"found fewer: {', '.join(short)}; lower --shots or --dummies, or leave the task out."
        )


def _endless(inputs: Sequence[str], draw: random.Random) -> Iterator[str]:
    while True:
        yield from draw.sample(inputs, len(inputs))


def _tell(task: Task, query: str) -> set[str]:
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
) -> list[Prompt]:
    draw = random.Random(f"{seed}:{task.name}:{split}")
    prompts = []
    for number, query in enumerate(queries):
        told = _tell(task, query)
        drawn = draw.sample(inputs, shots + dummies + len(told))
        others = [input for input in drawn if input not in told][: shots + dummies]
        prompts.append(
            Prompt(
                id=f"{task.name}-{seed}-{split}-{number:04d}",
                task=task.name,
                seed=seed,
                split=split,
                query=query,
                answers=task.answers[query],
                demonstrations=tuple(task.demonstration(input) for input in others[:shots]),
                dummies=tuple(others[shots:]),
            )
        )
    return prompts

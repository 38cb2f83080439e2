"""Runs of one model in several precisions, paired prompt by prompt and vector by vector.

A run is compared with the first one of the report: the same prompts, so the tests are paired.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy
from safetensors import SafetensorError
from safetensors.numpy import load_file

from icl_vectors.errors import IclVectorsError
from icl_vectors.report.provenance import of_sweep
from icl_vectors.report.statistics import Array, task_means
from icl_vectors.runs.recovery import lines_of_sweep
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS
from icl_vectors.scoring import Accuracy, exact_mcnemar, wilson

Key = tuple[str, str]  # prompt id, method
Answers = Mapping[Key, tuple[str, str, bool]]  # task, prediction, whether it is right


@dataclass(frozen=True)
class Paired:
    """One method's answers under two precisions, on the same prompts.

    Attributes:
        agreement: share of prompts with the same first token.
        lost, won: prompts that only the reference, only the other answers rightly.
        p: of McNemar's exact test on these two counts, two-sided (McNemar 1947).
    """

    accuracy: Accuracy
    agreement: float
    lost: int
    won: int
    p: float


@dataclass(frozen=True)
class Precision:
    """One run of a comparison of precisions.

    Attributes:
        paired: by method, with the reference; of the reference itself too (agreement 1).
        by_task: the same for each task.
        cosines: between this run's mean θ and the reference's, by task, one for each block.
    """

    dtype: str
    weights: str
    paired: Mapping[str, Paired]
    by_task: Mapping[str, Mapping[str, Paired]]
    cosines: Mapping[str, tuple[float, ...]]
    best_blocks: Mapping[str, tuple[int, ...]]
    memory: float | None
    seconds: float | None


def comparable(runs: Sequence[Run]) -> bool:
    """Whether all runs are sweeps of one checkpoint, alike but for the dtype."""
    if len(runs) < 2 or not all(run.tasks for run in runs):
        return False
    dtypes = {run.dtype for run in runs}
    shared = {
        (run.fingerprint, json.dumps(of_sweep(run, "configuration"), sort_keys=True))
        for run in runs
    }
    return len(dtypes) == len(runs) and len(shared) == 1


def compare_precisions(runs: Sequence[Run], places: Sequence[Path]) -> list[Precision]:
    """Every run beside the first one; empty where they can't be paired.

    Args:
        places: the runs' folders.
    """
    answers = [_answers(place) for place in places] if comparable(runs) else []
    if not answers or any(not own or own.keys() != answers[0].keys() for own in answers):
        return []
    vectors = [_vectors(place) for place in places]
    blocks = [{task.task: task.best_layers for task in task_means(run.tasks)} for run in runs]
    return [
        Precision(
            dtype=run.dtype,
            weights=run.weights,
            paired={method: _pair(answers[0], own, method) for method in METHODS},
            by_task={
                task: {method: _pair(answers[0], own, method, task) for method in METHODS}
                for task in dict.fromkeys(one.task for one in run.tasks)
            },
            cosines=_cosines(vectors[0], theirs),
            best_blocks=chosen,
            memory=_number(of_sweep(run, "peak_memory_bytes")),
            seconds=_number(of_sweep(run, "seconds")),
        )
        for run, own, theirs, chosen in zip(runs, answers, vectors, blocks, strict=True)
    ]


def _pair(reference: Answers, other: Answers, method: str, task: str | None = None) -> Paired:
    pairs = [
        (before, other[key])
        for key, before in reference.items()
        if key in other and key[1] == method and task in (None, before[0])
    ]
    lost = sum(before[2] and not after[2] for before, after in pairs)
    won = sum(after[2] and not before[2] for before, after in pairs)
    hits, n = sum(after[2] for _, after in pairs), len(pairs)
    return Paired(
        accuracy=Accuracy(hits / n, *wilson(hits, n), n),
        agreement=sum(before[1] == after[1] for before, after in pairs) / n,
        lost=lost,
        won=won,
        p=exact_mcnemar(lost, won),
    )


def _answers(place: Path) -> Answers:
    return {
        (line["id"], line["method"]): (line["task"], line["prediction"], line["correct"])
        for line in lines_of_sweep(place / "samples.jsonl")
        if line["split"] == "test"
    }


def _vectors(place: Path) -> dict[str, Array]:
    """Mean θ by task and seed, (layer, hidden)."""
    found = {}
    for file in sorted((place / "vectors").glob("*.safetensors")):
        try:
            found[file.stem] = load_file(file)["vectors"].astype(numpy.float64)
        except (OSError, SafetensorError, KeyError) as error:
            raise IclVectorsError(
                f"{file}: expected a task vector, found a damaged file; remove it, then its "
                "precision is compared without this task's cosine."
            ) from error
    return found


def _cosines(reference: Mapping[str, Array], other: Mapping[str, Array]) -> dict[str, Any]:
    """Of the vectors at each block, mean over seeds, by task."""
    found: dict[str, list[Array]] = {}
    for name, theta in reference.items():
        if name in other and other[name].shape == theta.shape:
            norms = numpy.linalg.norm(theta, axis=1) * numpy.linalg.norm(other[name], axis=1)
            cosine = (theta * other[name]).sum(1) / norms  # (layer,)
            found.setdefault(name.split(".seed")[0], []).append(cosine)
    return {task: tuple(numpy.mean(seeds, axis=0).tolist()) for task, seeds in found.items()}


def mean_cosine(precision: Precision) -> tuple[float, ...]:
    """Mean over tasks of the cosine with the reference's θ, one for each block."""
    return tuple(map(fmean, zip(*precision.cosines.values(), strict=True)))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None

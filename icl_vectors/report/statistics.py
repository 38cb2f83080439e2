"""Intervals over tasks (bootstrap) and means over seeds; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev
from typing import TypeAlias

import numpy
from numpy.typing import NDArray

from icl_vectors.runs.schema import FEW_LABELS, METHODS, Estimate, TaskResult
from icl_vectors.scoring import wilson

DRAWS = 2000
SEED = 41
FEWEST_TASKS = 3  # fewer give no interval over tasks
Array: TypeAlias = NDArray[numpy.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; None where there are too few tasks for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Measure:
    """A method's accuracy on a task: mean over seeds, SD over seeds, interval of all answers.

    Attributes:
        low, high: 95 % Wilson interval of the answers of all seeds together.
        sd: standard deviation over seeds, None for one seed.
    """

    mean: float
    low: float
    high: float
    n: int
    sd: float | None = None


@dataclass(frozen=True)
class TaskMean:
    """A task over its seeds.

    Attributes:
        curve: mean accuracy on dev at each block, None where a seed did not sweep it.
        best_layers: of each seed.
        fails: why θ does not carry the task, in words, with any of the seeds.
    """

    task: str
    category: str
    baseline: Measure
    hypothesis: Measure
    regular: Measure
    curve: tuple[float | None, ...]
    best_layers: tuple[int, ...]
    seeds: tuple[int, ...]
    n_dev: int
    n_test: int
    n_distinct: int
    n_echo: int
    fails: tuple[str, ...]
    begin_alike: bool = False
    constant: Measure | None = None  # where the task has few labels
    apart: tuple[Measure, Measure] | None = None  # hypothesis, regular

    def measure(self, method: str) -> Measure:
        return {"baseline": self.baseline, "hypothesis": self.hypothesis, "regular": self.regular}[
            method
        ]


@dataclass(frozen=True)
class Curve:
    """Mean accuracy over tasks at each swept block, with a 95 % bootstrap band over tasks."""

    layers: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    depth: Interval  # (best block + 1) / blocks
    best_layer: int


def task_means(results: Sequence[TaskResult]) -> list[TaskMean]:
    """One entry a task, over its seeds, in the order of the run."""
    by_task: dict[str, list[TaskResult]] = {}
    for result in results:
        by_task.setdefault(result.task, []).append(result)
    return [_task_mean(group) for group in by_task.values()]


def seeds_interval(values: Sequence[float]) -> Interval:
    """The mean over seeds and its 95 % interval by Student's t; the mean alone of one seed."""
    from scipy.stats import t

    array = numpy.asarray(values, dtype=float)  # (seed,)
    mean, n = float(array.mean()), len(array)
    if n < 2:
        return Interval(mean)
    half = float(t.ppf(0.975, n - 1) * array.std(ddof=1) / n**0.5)
    return Interval(mean, mean - half, mean + half)


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean over tasks and its percentile bootstrap interval.

    Raises:
        ValueError: there are no values.
    """
    array = numpy.asarray(values, dtype=float)  # (task,)
    if len(array) < FEWEST_TASKS:
        return Interval(fmean(values))
    return _interval(float(array.mean()), array[_draws(len(array))].mean(axis=1))


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> Interval | None:
    """Mean / mean with its bootstrap interval over tasks; None where the denominator is 0."""
    above = numpy.asarray(numerators, dtype=float)
    below = numpy.asarray(denominators, dtype=float)
    if not below.sum():
        return None
    value = float(above.sum() / below.sum())
    if len(above) < FEWEST_TASKS:
        return Interval(value)
    draws = _draws(len(above))
    sums = below[draws].sum(axis=1)  # (draw,)
    return _interval(value, above[draws].sum(axis=1)[sums > 0] / sums[sums > 0])


def successes(tasks: Sequence[TaskMean]) -> list[float]:
    """Hypothesis by task; 0 where θ does not carry it, which is never a success."""
    return [0.0 if task.fails else task.hypothesis.mean for task in tasks]


def mean_curve(tasks: Sequence[TaskMean], n_layers: int) -> Curve | None:
    """Accuracy by block over tasks, on the blocks that every task swept; None without any."""
    if not tasks:
        return None
    layers = [layer for layer in range(n_layers) if all(t.curve[layer] is not None for t in tasks)]
    if not layers:
        return None
    curves = numpy.asarray([[task.curve[layer] for layer in layers] for task in tasks], dtype=float)
    mean = curves.mean(axis=0)  # (layer,)
    depths = (numpy.asarray(layers) + 1) / n_layers
    best = int(mean.argmax())
    if len(tasks) < FEWEST_TASKS:
        low = high = None
        depth = Interval(float(depths[best]))
    else:
        drawn = curves[_draws(len(tasks))].mean(axis=1)  # (draw, layer)
        low, high = (tuple(row) for row in numpy.percentile(drawn, (2.5, 97.5), axis=0).tolist())
        depth = _interval(float(depths[best]), depths[drawn.argmax(axis=1)])
    return Curve(tuple(layers), tuple(mean.tolist()), low, high, depth, layers[best])


def _task_mean(group: Sequence[TaskResult]) -> TaskMean:
    first = group[0]
    counts = [one.n_test for one in group]
    measures = {m: _measure([getattr(one, m) for one in group], counts) for m in METHODS}
    return TaskMean(
        task=first.task,
        category=first.category,
        **measures,
        curve=tuple(
            map(_mean_or_none, zip(*(r.dev_accuracy_by_layer for r in group), strict=True))
        ),
        best_layers=tuple(result.best_layer for result in group),
        seeds=tuple(result.seed for result in group),
        n_dev=sum(result.n_dev for result in group),
        n_test=sum(result.n_test for result in group),
        n_distinct=max(result.n_distinct for result in group),
        n_echo=sum(result.n_echo for result in group),
        fails=tuple(dict.fromkeys(fault for result in group for fault in result.fails)),
        begin_alike=any(result.begin_alike for result in group),
        constant=_constant(group),
        apart=_apart(group),
    )


def _constant(group: Sequence[TaskResult]) -> Measure | None:
    found = [one.constant for one in group if one.constant is not None]
    few = all(one.n_labels is not None and one.n_labels <= FEW_LABELS for one in group)
    counts = [one.n_test for one in group]
    return _measure(found, counts) if few and len(found) == len(group) else None


def _apart(group: Sequence[TaskResult]) -> tuple[Measure, Measure] | None:
    found = [one.apart for one in group if one.apart is not None and one.apart.n]
    counts = [one.n for one in found]
    both = [(one.hypothesis, one.regular) for one in found if one.hypothesis and one.regular]
    if not both:
        return None
    return _measure([a for a, _ in both], counts), _measure([b for _, b in both], counts)


def _measure(cells: Sequence[Estimate], counts: Sequence[int]) -> Measure:
    """One method over seeds; `counts` are the numbers of answers."""
    shares = [one.accuracy for one in cells]
    if len(cells) == 1:
        return Measure(shares[0], cells[0].low, cells[0].high, counts[0])
    n = sum(counts)
    hits = round(sum(share * count for share, count in zip(shares, counts, strict=True)))
    low, high = wilson(hits, n) if n else (0.0, 1.0)
    return Measure(fmean(shares), low, high, n, stdev(shares))


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


@cache
def _draws(n: int) -> NDArray[numpy.int64]:
    """Which tasks each bootstrap draw holds."""
    return numpy.random.default_rng(SEED).integers(0, n, (DRAWS, n))  # (draw, task)


def _interval(value: float, drawn: Array) -> Interval:
    low, high = numpy.percentile(drawn, (2.5, 97.5)).tolist()
    return Interval(value, low, high)

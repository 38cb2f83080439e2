"""Intervals over tasks (bootstrap) and means over seeds; numpy only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev
from typing import Any, TypeAlias, TypeVar

import numpy
from numpy.typing import NDArray

from icl_vectors.runs.schema import FEW_LABELS, METHODS, Estimate, TaskResult
from icl_vectors.scoring import Accuracy, wilson

DRAWS = 2000
SEED = 41
MOST_REASONS = 3  # of tasks in a sentence
FEWEST_TASKS = 3  # fewer give no interval over tasks
Array: TypeAlias = NDArray[numpy.float64]
Entry = TypeVar("Entry", bound=Any)


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, None where there is too little for one.

    Attributes:
        sd: standard deviation over seeds, None for one seed.
    """

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None

    @classmethod
    def of(cls, one: Estimate | Accuracy) -> "Interval":
        return cls(one.accuracy, one.low, one.high)

    def is_above(self, bound: float | None) -> bool:
        """Whether all of the interval is above a bound."""
        return self.low is not None and bound is not None and self.low > bound

    def __str__(self) -> str:
        return format(self, ".2f")

    def __format__(self, form: str) -> str:
        form = form or ".2f"
        text = f"{self.value:{form}}" + ("" if self.sd is None else f" ± {self.sd:{form}}")
        if self.low is None or self.high is None:
            return text
        return f"{text} [{self.low:{form}}, {self.high:{form}}]"


def n_of(counts: Iterable[int]) -> str:
    """How many prompts, "n = 50" or "n = 40 to 50"."""
    found = sorted({*counts})
    return "n = " + " to ".join(map(str, dict.fromkeys((found[0], found[-1]))))


class TaskMean:
    """A task over its seeds.

    Attributes:
        by_method: mean over seeds, SD over seeds, 95 % Wilson interval of all answers together.
        curve: mean accuracy on dev at each block, None where a seed did not sweep it.
        best_layers: of each seed.
        fails: why θ does not carry the task, in words, with any of the seeds: those seeds.
        constant: of the best single answer, where the task has few labels.
        apart: hypothesis and regular where no dummy gives the answer.
    """

    def __init__(self, group: Sequence[TaskResult]) -> None:
        self.task, self.category = group[0].task, group[0].category
        self.seeds = tuple(one.seed for one in group)
        self.best_layers = tuple(one.best_layer for one in group)
        self.fails: dict[str, list[int]] = {}
        for one in group:
            for fault in one.fails:
                self.fails.setdefault(fault, []).append(one.seed)
        self.n_dev, self.n_test, self.n_echo = (
            sum(getattr(one, name) for one in group) for name in ("n_dev", "n_test", "n_echo")
        )
        self.n_distinct = max(one.n_distinct for one in group)
        curves = zip(*(one.dev_accuracy_by_layer for one in group), strict=True)
        self.curve = tuple(map(_mean_or_none, curves))
        counts = [one.n_test for one in group]
        self.by_method = {m: _pooled([getattr(one, m) for one in group], counts) for m in METHODS}
        self.baseline, self.hypothesis, self.regular = self.by_method.values()
        few = all(one.n_labels is not None and one.n_labels <= FEW_LABELS for one in group)
        constants = [one.constant for one in group if one.constant is not None]
        is_known = few and len(constants) == len(group)
        self.constant = _pooled(constants, counts) if is_known else None
        self.apart = _apart(group)

    @property
    def reasons(self) -> str:
        """Why θ does not carry the task; with its seeds where it does not hold for all of them."""
        return "; ".join(
            fault if len(seeds) == len(self.seeds) else f"{fault} ({_named_seeds(seeds)})"
            for fault, seeds in self.fails.items()
        )


@dataclass(frozen=True)
class Curve:
    """Mean accuracy over tasks at each swept block, with a 95 % bootstrap band over tasks."""

    layers: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None
    depth: Interval  # (best block + 1) / blocks
    best_layer: int


def by_task(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries by their `task`, in the order of the run."""
    found: dict[str, list[Entry]] = {}
    for one in entries:
        found.setdefault(one.task, []).append(one)
    return found


def task_means(results: Sequence[TaskResult]) -> list[TaskMean]:
    """One entry a task, over its seeds, in the order of the run."""
    return list(map(TaskMean, by_task(results).values()))


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
    return [0.0 if task.fails else task.hypothesis.value for task in tasks]


def recovered(tasks: Sequence[TaskMean]) -> Interval | None:
    """Hypothesis / regular over tasks, one that θ does not carry as 0; None where regular is 0."""
    return ratio_interval(successes(tasks), [task.regular.value for task in tasks])


def with_reasons(tasks: Sequence[TaskMean]) -> str:
    """Tasks that θ does not carry, and why; of many the names alone, as the table has the rest."""
    if len(tasks) > MOST_REASONS:
        return ", ".join(task.task for task in tasks) + " (why: the table of tasks)"
    return ", ".join(f"{task.task} ({task.reasons})" for task in tasks)


def mean_curve(tasks: Sequence[TaskMean], n_layers: int) -> Curve | None:
    """Accuracy by block over tasks, on the blocks that every task swept; None without any."""
    layers = [layer for layer in range(n_layers) if all(t.curve[layer] is not None for t in tasks)]
    if not tasks or not layers:
        return None
    curves = numpy.asarray([[task.curve[layer] for layer in layers] for task in tasks], dtype=float)
    mean = curves.mean(axis=0)  # (layer,)
    depths = (numpy.asarray(layers) + 1) / n_layers
    best = int(mean.argmax())
    low = high = None
    depth = Interval(float(depths[best]))
    if len(tasks) >= FEWEST_TASKS:
        drawn = curves[_draws(len(tasks))].mean(axis=1)  # (draw, layer)
        low, high = (tuple(row) for row in numpy.percentile(drawn, (2.5, 97.5), axis=0).tolist())
        depth = _interval(depth.value, depths[drawn.argmax(axis=1)])
    return Curve(tuple(layers), tuple(mean.tolist()), low, high, depth, layers[best])


def _named_seeds(seeds: Sequence[int]) -> str:
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds))


def _apart(group: Sequence[TaskResult]) -> tuple[Interval, Interval] | None:
    both = [
        (one.n, one.hypothesis, one.regular)
        for one in (result.apart for result in group)
        if one is not None and one.n and one.hypothesis and one.regular
    ]
    if not both:
        return None
    counts = [n for n, _, _ in both]
    return _pooled([own for _, own, _ in both], counts), _pooled([it for *_, it in both], counts)


def _pooled(cells: Sequence[Estimate], counts: Sequence[int]) -> Interval:
    """One method over seeds; `counts` are the numbers of answers."""
    if len(cells) == 1:
        return Interval.of(cells[0])
    shares, n = [one.accuracy for one in cells], sum(counts)
    hits = round(sum(share * count for share, count in zip(shares, counts, strict=True)))
    return Interval(fmean(shares), *(wilson(hits, n) if n else (0.0, 1.0)), stdev(shares))


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

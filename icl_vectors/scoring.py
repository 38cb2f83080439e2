"""Accuracies with their intervals."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import TypeVar

Z_95 = 1.959963984540054
SIGNIFICANT = 0.05  # p below it, of a two-sided test, tells two methods apart

T = TypeVar("T")


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers among n, with its 95 % Wilson score interval."""

    accuracy: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float]:
        return {key: value for key, value in asdict(self).items() if key != "n"}


def accuracy(right: Sequence[bool]) -> Accuracy:
    """The accuracy of a list of answers that were right or wrong.

    Raises:
        ValueError: there are no answers.
    """
    if not right:
        raise ValueError("an accuracy needs at least one answer")
    low, high = wilson(sum(right), len(right))
    return Accuracy(sum(right) / len(right), low, high, len(right))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share (Wilson 1927)."""
    share = hits / n
    scale = 1 + Z_95**2 / n
    middle = (share + Z_95**2 / (2 * n)) / scale
    half = Z_95 * sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2)) / scale
    return max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < n else 1.0


def exact_mcnemar(lost: int, won: int) -> float:
    """Two-sided exact p of McNemar's test: a fair coin on the prompts where the two differ."""
    from scipy.stats import binomtest

    return float(binomtest(won, lost + won).pvalue) if lost + won else 1.0


@dataclass(frozen=True)
class OverSeeds:
    """A figure over seeds: mean, standard deviation, and the 95 % interval of the mean."""

    mean: float
    sd: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def over_seeds(values: Sequence[float]) -> OverSeeds:
    """Mean, SD (n − 1) and Student's t interval, cut to 0 to 1, of one share a seed.

    It tells how much the draw of prompts and demonstrations matters, with the tasks as they are;
    few seeds make it wide (t is 12.7 for two, 4.3 for three, 2.8 for five).

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError("an interval over seeds needs two seeds or more")
    from scipy.stats import t

    middle, spread = fmean(values), stdev(values)
    half = float(t.ppf(0.975, len(values) - 1)) * spread / sqrt(len(values))
    return OverSeeds(middle, spread, max(0.0, middle - half), min(1.0, middle + half))


def entries_by_seed(entries: Iterable[tuple[str, int, T]]) -> dict[int, list[T]]:
    """The entries (task, seed, entry) of the tasks that have all seeds, by seed."""
    listed = list(entries)
    seeds = {seed for _, seed, _ in listed}
    counts = Counter(task for task, _, _ in listed)
    found: dict[int, list[T]] = {}
    for task, seed, entry in listed:
        if counts[task] == len(seeds):
            found.setdefault(seed, []).append(entry)
    return found


def stable(value: float) -> float:
    """A figure without the digits that depend on how many threads computed it: four are kept.

    States differ by some 1e-6 between thread counts and batch sizes in float32; what is computed
    from them (distances, probabilities) is written to four significant digits. A figure that
    lies on the edge of two such roundings may still fall to either side.
    """
    return float(f"{value:.4g}")


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)

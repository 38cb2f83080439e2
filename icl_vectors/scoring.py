"""Accuracies with their intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt

Z_95 = 1.959963984540054


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


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)

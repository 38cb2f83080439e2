"""What an experiment adds to the report: claims with verdicts, figures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from icl_vectors.report.drawing import Drawing
from icl_vectors.report.statistics import Interval
from icl_vectors.report.table import Cell, Table, words

HOLDS, WEAKLY, FAILS = "holds", "holds weakly", "does not hold"
UNTESTED = "could not be tested"
VERDICTS = (FAILS, WEAKLY, HOLDS)  # of what was tested, the worst first
MARKS = {HOLDS: "good", WEAKLY: "warn", FAILS: "bad"}
Item = TypeVar("Item")


@dataclass(frozen=True)
class Claim:
    """One claim: what the paper says and found, what was found here, and the verdict.

    Attributes:
        value: the number that the rule is about; None where it could not be tested.
    """

    name: str
    statement: str
    paper: str
    ours: str
    verdict: str
    rule: str
    value: float | None = None


@dataclass(frozen=True)
class Section:
    """A heading of the report with what is under it.

    Attributes:
        anchor: its name in the page's addresses.
        claims: for the table of claims at the top.
    """

    anchor: str
    title: str
    claims: tuple[Claim, ...] = ()
    figures: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()


def present(*items: Item | None) -> tuple[Item, ...]:
    """The figures or tables for which there is data."""
    return tuple(one for one in items if one is not None)


def verdict_of(holds: bool, weakly: bool) -> str:
    """The verdict where the one or the other bound is met, or neither."""
    return HOLDS if holds else WEAKLY if weakly else FAILS


def graded(share: float, holds: float, weakly: float) -> str:
    """The verdict on a share, by the two bounds from which on it holds and holds weakly."""
    share = round(share, 9)  # a mean of equal shares may fall short of them in the last digit
    return verdict_of(share >= holds, share >= weakly)


def above_zero(found: Interval) -> str:
    """The verdict on a difference: its interval above 0 holds, its mean above 0 weakly."""
    return verdict_of(found.is_above(0), found.value > 0)


def verdict_cell(verdict: str) -> Cell:
    """A verdict as a cell of a table."""
    return Cell(verdict, mark=MARKS.get(verdict, ""))


def claims_table(claims: Sequence[Claim], name: str = "claims") -> Table:
    """Each claim with the paper's figure, ours, the verdict and its rule."""
    return Table.of(
        name,
        "Claim by claim",
        words("claim", "the paper", "here", "verdict", "rule"),
        (
            (
                f"{one.name}: {one.statement}",
                one.paper,
                one.ours,
                verdict_cell(one.verdict),
                one.rule,
            )
            for one in claims
        ),
        "The rules are in the program, the same for every run; none was tuned to a result. "
        "Brackets are 95 % intervals.",
    )

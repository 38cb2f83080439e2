"""What a claim is, its four verdicts, and the few rules that several claims share."""

from dataclasses import dataclass

from icl_vectors.report.table import Cell

HOLDS, WEAKLY, FAILS, UNTESTED = (
    "holds",
    "holds weakly",
    "does not hold",
    "could not be tested",
)
MARKS = {HOLDS: "good", WEAKLY: "warn", FAILS: "bad"}


@dataclass(frozen=True)
class Claim:
    """One claim: what the paper says and found, what was found here, and the verdict."""

    name: str
    statement: str
    paper: str
    ours: str
    verdict: str
    rule: str


def graded(share: float, holds: float, weakly: float) -> str:
    """The verdict on a share, by the two bounds from which on it holds and holds weakly."""
    share = round(share, 9)  # a mean of equal shares may fall short of them in the last digit
    return HOLDS if share >= holds else WEAKLY if share >= weakly else FAILS


def verdict_cell(verdict: str) -> Cell:
    """A verdict as it stands in a table."""
    return Cell(verdict, mark=MARKS.get(verdict, ""))

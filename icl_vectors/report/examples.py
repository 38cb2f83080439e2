"""Some test prompts with what each method answered."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from icl_vectors.report.table import Cell, Column, Table, visible
from icl_vectors.runs.run import Example
from icl_vectors.runs.schema import (
    METHODS,
)

if TYPE_CHECKING:
    pass

ANSWERS_SHOWN = 4


def examples_table(examples: Sequence[Example]) -> Table:
    """Some test prompts with what each method answered: a first token, or a whole answer."""
    named = tuple(dict.fromkeys(method for one in examples for method in one.predictions))
    methods = METHODS if set(METHODS[:2]) & set(named) else named  # of a sweep, else of others
    return Table(
        "examples",
        "Answers, as examples",
        (Column("task"), Column("query"), Column("accepted"), *map(Column, methods)),
        tuple(
            (
                Cell(one.task),
                Cell(visible(one.query)),
                Cell(" | ".join(one.answers[:ANSWERS_SHOWN])),
                *(_prediction(one.predictions.get(method)) for method in methods),
            )
            for one in examples
        ),
        f"The first test prompts of each task, unselected, with up to {ANSWERS_SHOWN} of the "
        "accepted answers; what was answered (the first token, or in a run of whole answers all "
        "of it), ✓ where it counts as right.",
    )


def _prediction(answer: tuple[str, bool] | None) -> Cell:
    if answer is None:
        return Cell("–")
    text, right = answer
    return Cell(f"{visible(text)} {'✓' if right else '✗'}", mark="good" if right else "bad")

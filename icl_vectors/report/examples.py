"""Every test prompt with what each method answered, and a few of them as examples."""

from collections import Counter
from collections.abc import Sequence

from icl_vectors.report.table import Cell, Table, visible, words
from icl_vectors.runs.run import Example
from icl_vectors.runs.schema import METHODS

ANSWERS_SHOWN = 4
FEW = 2  # of each task, in the table that is a file
LEGEND = (
    f"Up to {ANSWERS_SHOWN} of the accepted answers; what was answered (the first token; in a run "
    "of whole answers all of it, in one of labels the likeliest label), ✓ where it counts as right."
)


def examples_table(examples: Sequence[Example]) -> Table:
    """The first test prompts of each task."""
    seen: Counter[str] = Counter()
    few = []
    for one in examples:
        seen[one.task] += 1
        few += [one] if seen[one.task] <= FEW else []
    note = f"The first test prompts of each task, unselected. {LEGEND}"
    return _table("examples", "Answers, as examples", few, note)


def answers_table(examples: Sequence[Example], finished: int, most: int) -> Table:
    """All test prompts, to be sorted and filtered in the page.

    Args:
        finished: test prompts of the run.
        most: rows at most.
    """
    shown = examples[:most]
    part = "" if len(shown) >= finished else f"{len(shown):,} of {finished:,} prompts are shown. "
    return _table("answers", "Task, query, answers", shown, part + LEGEND, filters=True)


def _table(
    name: str, title: str, examples: Sequence[Example], note: str, filters: bool = False
) -> Table:
    named = tuple(dict.fromkeys(method for one in examples for method in one.predictions))
    methods = METHODS if set(METHODS[:2]) & set(named) else named  # of a sweep, else of others
    return Table.of(
        name,
        title,
        words("task", "query", "expected", *methods),
        (
            (
                one.task,
                visible(one.query),
                " | ".join(one.answers[:ANSWERS_SHOWN]),
                *(_prediction(one.predictions.get(method)) for method in methods),
            )
            for one in examples
        ),
        note,
        filters,
    )


def _prediction(answer: tuple[str, bool] | None) -> Cell:
    if answer is None:
        return Cell("–")
    text, right = answer
    shown = f"{visible(text)} {'✓' if right else '✗'}"
    return Cell(shown, int(right), "good" if right else "bad")  # sorted: wrong ones together

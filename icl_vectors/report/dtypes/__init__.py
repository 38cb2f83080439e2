"""Tables and figure of a comparison of precisions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    Drawing,
    new_figure,
    whole_blocks,
)
from icl_vectors.report.dtypes.paired import Paired, Precision, mean_cosine
from icl_vectors.report.table import Cell, Column, Table, number, span
from icl_vectors.runs.schema import METHODS
from icl_vectors.scoring import wilson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PINK, ":"), (ORANGE, "-"), (SKY, "--"))
FILE = "precision.json"


def precision_tables(
    precisions: Sequence[Precision], crossed: Mapping[str, Any] | None
) -> tuple[Table, ...]:
    """Each precision beside the first, task by task, and θ of each put into each."""
    tables = [_overview(precisions), _paired(precisions), _by_task(precisions)]
    return (*tables, _cross(crossed)) if crossed else tuple(tables)


def read_crossed(places: Sequence[Path]) -> dict[str, Any] | None:
    """What a sweep of several precisions left beside its runs, or None.

    Raises:
        IclVectorsError: it is damaged.
    """
    for file in dict.fromkeys(place / FILE for place in places):
        if file.is_file():
            try:
                return dict(json.loads(file.read_text("utf-8")))
            except (ValueError, TypeError) as error:
                raise IclVectorsError(
                    f"{file}: expected JSON, found a damaged file; run the sweep again."
                ) from error
    return None


def cosine_figure(precisions: Sequence[Precision]) -> Drawing | None:
    """Cosine between the θ of each precision and the reference's, by block."""
    curves = {one.dtype: mean_cosine(one) for one in precisions[1:] if one.cosines}
    if not curves:
        return None
    lowest = ", ".join(f"{dtype} {min(curve):.3f}" for dtype, curve in curves.items())
    return Drawing(
        name="precision_cosine",
        title=f"θ of each precision beside that of {precisions[0].dtype}",
        caption=(
            f"Cosine between mean θ under each precision and under {precisions[0].dtype}, by "
            "block, mean over tasks; the same test prompts."
        ),
        alternative=f"Line chart, one line a precision. Lowest: {lowest}.",
        draw=lambda: _draw(curves),
    )


def weights_remark(precisions: Sequence[Precision]) -> str:
    """What must be known of the weights before "float32" is believed."""
    weights = precisions[0].weights
    if not weights or weights == "opened by the user":
        return ""
    return (
        f"The weights are themselves {weights}: {precisions[0].dtype} here is that copy held in "
        f"{precisions[0].dtype}, not the model as it was trained."
    )


def _overview(precisions: Sequence[Precision]) -> Table:
    first = precisions[0]
    note = (
        f"All tasks together, {first.paired['hypothesis'].accuracy.n} test prompts, the same under "
        "each precision; 95 % Wilson intervals. Cosine: of mean θ at each task's best block with "
        f"that under {first.dtype}, mean over tasks. Memory: peak during the sweep, weights "
        "included; time: of the sweep."
    )
    return Table(
        "precision",
        "Precisions side by side",
        (
            Column("dtype"),
            *(Column(method, True) for method in METHODS),
            Column("cosine of θ", True),
            Column("same best block", True),
            Column("memory (GB)", True),
            Column("time (s)", True),
        ),
        tuple(_overview_row(one, first) for one in precisions),
        f"{weights_remark(precisions)} {note}".strip(),
    )


def _overview_row(one: Precision, first: Precision) -> tuple[Cell, ...]:
    accuracies = [one.paired[method].accuracy for method in METHODS]
    tasks = len(first.best_blocks)
    return (
        Cell(one.dtype),
        *(span(each.accuracy, each.low, each.high) for each in accuracies),
        Cell("–") if one is first else number(_cosine_at_best(one, first), 4),
        Cell("–") if one is first else Cell(f"{one.same_block} of {tasks}", one.same_block),
        number(None if one.memory is None else one.memory / 1e9),
        number(one.seconds, 0),
    )


def _paired(precisions: Sequence[Precision]) -> Table:
    first = precisions[0]
    titles = ("agreement", "lost/won", "p")
    methods = ("hypothesis", "regular")
    return Table(
        "precision_paired",
        f"Each precision against {first.dtype}, prompt by prompt",
        (Column("dtype"), *(Column(f"{m}: {title}", True) for m in methods for title in titles)),
        tuple(
            (Cell(one.dtype), *(cell for m in methods for cell in _against(one.paired[m])))
            for one in precisions[1:]
        ),
        f"Agreement: share of prompts with the same first token. Lost/won: prompts that only "
        f"{first.dtype} / only this precision answers rightly; p: McNemar's exact test on them, "
        "two-sided, not corrected for the number of rows.",
    )


def _against(paired: Paired) -> tuple[Cell, ...]:
    return (
        number(paired.agreement),
        Cell(f"{paired.lost}/{paired.won}", paired.lost - paired.won),
        _p(paired.p),
    )


def _p(value: float) -> Cell:
    return Cell("< 0.001", value) if value < 0.001 else number(value, 3)


def _cosine_at_best(one: Precision, first: Precision) -> float | None:
    values = [
        one.cosines[task][blocks[0]]
        for task, blocks in first.best_blocks.items()
        if task in one.cosines
    ]
    return sum(values) / len(values) if values else None


def _by_task(precisions: Sequence[Precision]) -> Table:
    first = precisions[0]
    rows = []
    for task in first.by_task:
        for one in precisions:
            paired = one.by_task[task]["hypothesis"]
            regular = one.by_task[task]["regular"].accuracy
            rows.append(
                (
                    Cell(task),
                    Cell(one.dtype),
                    span(paired.accuracy.accuracy, paired.accuracy.low, paired.accuracy.high),
                    span(regular.accuracy, regular.low, regular.high),
                    Cell(", ".join(map(str, one.best_blocks[task]))),
                    *((Cell("–"),) * 3 if one is first else _against(paired)),
                )
            )
    titles = ("task", "dtype", "hypothesis", "regular", "best block")
    paired_titles = ("agreement", "lost/won", "p")
    return Table(
        "precision_tasks",
        "Precisions, task by task",
        tuple(Column(title, title not in ("task", "dtype")) for title in titles + paired_titles),
        tuple(rows),
        f"Agreement, lost/won and p are of the hypothesis, beside {first.dtype}.",
    )


def _cross(crossed: Mapping[str, Any]) -> Table:
    dtypes = list(crossed["dtypes"])
    rows = []
    for giver in dtypes:
        cells = [Cell(giver)]
        for receiver in dtypes:
            found = [
                cell
                for cell in crossed["cells"]
                if (cell["giver"], cell["receiver"]) == (giver, receiver)
            ]
            hits, n = sum(cell["hits"] for cell in found), sum(cell["n"] for cell in found)
            cells.append(span(hits / n, *wilson(hits, n)) if n else number(None))
        rows.append(tuple(cells))
    return Table(
        "precision_cross",
        "θ of one precision put into another",
        (Column("θ read in"), *(Column(f"put into {dtype}", True) for dtype in dtypes)),
        tuple(rows),
        "Accuracy on the test queries, all tasks together, 95 % Wilson intervals. Each prompt's θ "
        f"is read and injected at the block that the sweep in {crossed['reference']} chose for its "
        "task, so the diagonal may differ from that precision's own hypothesis.",
    )


def _draw(curves: Mapping[str, Sequence[float]]) -> "Figure":
    figure = new_figure(2.4)
    axes = figure.subplots()
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    for (dtype, curve), (colour, line) in zip(curves.items(), STYLES, strict=False):
        axes.plot(range(len(curve)), curve, color=colour, linestyle=line, label=dtype)
    axes.set_xlabel("block")
    axes.set_ylabel("cosine of θ")
    whole_blocks(axes)
    axes.legend()
    return figure

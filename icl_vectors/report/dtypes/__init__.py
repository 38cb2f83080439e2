"""Tables and figure of a comparison of precisions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.report import drawing
from icl_vectors.report.drawing import GREY, LINE_STYLES, Drawing
from icl_vectors.report.dtypes.paired import Paired, Precision, compare_precisions, mean_cosine
from icl_vectors.report.section import Section, present
from icl_vectors.report.statistics import Interval
from icl_vectors.report.table import Cell, Table, number, numbers, words
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS
from icl_vectors.scoring import wilson

PAIRED = ("agreement", "lost/won", "p")
DASHES = (Cell("–"),) * 3  # of the reference beside itself
FILE = "precision.json"
WIDEST_FIRST = ("float32", "bfloat16", "float16", "int8", "nf4", "fp4")


def precision(
    runs: Sequence[Run], places: Sequence[Path], beside: Sequence[Path]
) -> Section | None:
    """Each precision beside the first, where the runs differ in dtype alone.

    Args:
        places: the runs' folders.
        beside: where θ of each precision in each other may have been written.
    """
    crossed = _read_crossed(beside)
    order = list(crossed["dtypes"] if crossed else WIDEST_FIRST)
    order += [run.dtype for run in runs if run.dtype not in order]
    pairs = sorted(zip(runs, places, strict=True), key=lambda pair: order.index(pair[0].dtype))
    found = compare_precisions([run for run, _ in pairs], [place for _, place in pairs])
    if not found:
        return None
    cross = _cross(crossed) if crossed else None
    tables = present(_overview(found), _paired(found), _by_task(found), cross)
    figures = present(_cosine_figure(found))
    return Section("precision", "Precision against precision", figures=figures, tables=tables)


def _read_crossed(places: Sequence[Path]) -> dict[str, Any] | None:
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


def _cosine_figure(precisions: Sequence[Precision]) -> Drawing | None:
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


def _overview(precisions: Sequence[Precision]) -> Table:
    first = precisions[0]
    note = (
        f"All tasks together, {first.paired['hypothesis'].accuracy.n} test prompts, the same under "
        "each precision; 95 % Wilson intervals. Cosine: of mean θ at each task's best block with "
        f"that under {first.dtype}, mean over tasks. Memory: peak during the sweep, weights "
        "included; time: of the sweep."
    )
    if first.weights and first.weights != "opened by the user":  # else "float32" would mislead
        note = (
            f"The weights are themselves {first.weights}: {first.dtype} here is that copy held in "
            f"{first.dtype}, not the model as it was trained. {note}"
        )
    more = ("cosine of θ", "same best block", "memory (GB)", "time (s)")
    return Table.of(
        "precision",
        "Precisions side by side",
        words("dtype") + numbers(*METHODS, *more),
        (
            (
                one.dtype,
                *(one.paired[method].accuracy for method in METHODS),
                *(DASHES[:2] if one is first else _thetas(one, first)),
                None if one.memory is None else one.memory / 1e9,
                number(one.seconds, 0),
            )
            for one in precisions
        ),
        note,
    )


def _thetas(one: Precision, first: Precision) -> tuple[Cell, ...]:
    """Mean cosine with the reference's θ at its best blocks, and in how many tasks these agree."""
    best, cosines = first.best_blocks, one.cosines
    values = [cosines[task][blocks[0]] for task, blocks in best.items() if task in cosines]
    cosine = number(sum(values) / len(values) if values else None, 4)
    same = sum(best.get(task) == blocks for task, blocks in one.best_blocks.items())
    return cosine, Cell(f"{same} of {len(best)}", same)


def _paired(precisions: Sequence[Precision]) -> Table:
    first, methods = precisions[0], ("hypothesis", "regular")
    return Table.of(
        "precision_paired",
        f"Each precision against {first.dtype}, prompt by prompt",
        words("dtype") + numbers(*(f"{m}: {title}" for m in methods for title in PAIRED)),
        (
            (one.dtype, *(cell for m in methods for cell in _against(one.paired[m])))
            for one in precisions[1:]
        ),
        f"Agreement: share of prompts with the same first token. Lost/won: prompts that only "
        f"{first.dtype} / only this precision answers rightly; p: McNemar's exact test on them, "
        "two-sided, not corrected for the number of rows.",
    )


def _against(paired: Paired) -> tuple[Cell, ...]:
    lost_won = Cell(f"{paired.lost}/{paired.won}", paired.lost - paired.won)
    p = Cell("< 0.001", paired.p) if paired.p < 0.001 else number(paired.p, 3)
    return number(paired.agreement), lost_won, p


def _by_task(precisions: Sequence[Precision]) -> Table:
    first = precisions[0]
    return Table.of(
        "precision_tasks",
        "Precisions, task by task",
        words("task", "dtype") + numbers("hypothesis", "regular", "best block", *PAIRED),
        (
            (
                task,
                one.dtype,
                one.by_task[task]["hypothesis"].accuracy,
                one.by_task[task]["regular"].accuracy,
                ", ".join(map(str, one.best_blocks[task])),
                *(DASHES if one is first else _against(one.by_task[task]["hypothesis"])),
            )
            for task in first.by_task
            for one in precisions
        ),
        f"Agreement, lost/won and p are of the hypothesis, beside {first.dtype}.",
    )


def _cross(crossed: Mapping[str, Any]) -> Table:
    dtypes = list(crossed["dtypes"])
    return Table.of(
        "precision_cross",
        "θ of one precision injected into another",
        words("θ read in") + numbers(*(f"injected into {dtype}" for dtype in dtypes)),
        (
            (giver, *(_share(crossed["cells"], giver, receiver) for receiver in dtypes))
            for giver in dtypes
        ),
        "Accuracy on the test queries by first tokens, whatever the sweeps compared; all tasks "
        "together, 95 % Wilson intervals. Each prompt's θ "
        f"is read and injected at the block that the sweep in {crossed['reference']} chose for its "
        "task, so the diagonal may differ from that precision's own hypothesis.",
    )


def _share(cells: Sequence[Mapping[str, Any]], giver: str, receiver: str) -> Interval | None:
    found = [one for one in cells if (one["giver"], one["receiver"]) == (giver, receiver)]
    hits, n = sum(one["hits"] for one in found), sum(one["n"] for one in found)
    return Interval(hits / n, *wilson(hits, n)) if n else None


def _draw(curves: Mapping[str, Sequence[float]]) -> "drawing.Figure":
    figure, axes = drawing.new_axes(2.4, xlabel="block", ylabel="cosine of θ")
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    for (dtype, curve), (colour, line, _) in zip(curves.items(), LINE_STYLES, strict=False):
        axes.plot(range(len(curve)), curve, color=colour, linestyle=line, label=dtype)
    drawing.whole_blocks(axes)
    axes.legend()
    return figure

"""Conflicting tasks in the report: which one do the answers follow?"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.report import paper
from icl_vectors.report.drawing import BLUE, ORANGE, Drawing, new_figure, short
from icl_vectors.report.drawing.bars import Span, draw_bars, legend_above, name_rows
from icl_vectors.report.section import FAILS, HOLDS, MARKS, UNTESTED, WEAKLY, Claim, Section
from icl_vectors.report.table import Cell, Column, Table, interval, number, span
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import Conflict, Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLLOWS = {HOLDS: "clearly", WEAKLY: "leaning", FAILS: "no"}


def sections(run: Run) -> list[Section]:
    """The pairs as a figure and a table beside the paper's LLaMA 13B."""
    drawing = conflicts(run)
    return [
        Section(
            "conflicts",
            "Conflicting tasks",
            (answers_follow_theta(run.conflicts),),
            (drawing,) if drawing else (),
            (conflicts_table(run.conflicts),) if run.conflicts else (),
        )
    ]


def text(data: Mapping[str, Any]) -> str:
    """Accuracy on A's and on B's answers, without and with θ of B."""
    lines = [f"{'demonstrations of A → θ of B':<58}{'regular: A':<19}{'B':<19}{'θ of B: A':<19}B"]
    for pair in data["conflict"]:
        cells = [pair[which][side] for which in ("regular", "injected") for side in ("a", "b")]
        shown = "".join(f"{interval(cell):<19}" for cell in cells)
        lines.append(f"{in_one_line(pair['a'] + ' → ' + pair['b']):<58}{shown.rstrip()}")
    return "\n".join(lines)


def answers_follow_theta(conflicts: Sequence[Conflict]) -> Claim:
    """Whether answers follow θ of B against demonstrations of A."""
    verdict, ours, value = UNTESTED, "no conflict experiment in this folder", None
    if conflicts:
        verdicts = [conflict_verdict(one) for one in conflicts]
        clear = verdicts.count(HOLDS)
        leaning = clear + verdicts.count(WEAKLY)
        value = clear / len(conflicts)
        if value >= 0.75:
            verdict = HOLDS
        else:
            verdict = WEAKLY if leaning / len(conflicts) > 0.5 else FAILS
        ours = f"clearly in {clear} of {len(conflicts)} pairs, leaning to B in {leaning}"
    return Claim(
        "answers follow θ",
        "With demonstrations of task A and θ of task B, the answer follows B.",
        "LLaMA 13B: in 4 of 5 pairs; en_es → en_fr fails in the authors' results too",
        ours,
        verdict,
        "A pair is clear where, with θ of B injected, the 95 % Wilson interval of B lies wholly "
        "above that of A. Clear in ≥ 0.75 of the pairs holds, B above A in more than half weakly.",
        value,
    )


def conflict_verdict(conflict: Conflict) -> str:
    """The verdict on one pair: intervals apart, B over A at all, or neither."""
    if conflict.injected.b.low > conflict.injected.a.high:
        return HOLDS
    return WEAKLY if conflict.injected.b.accuracy > conflict.injected.a.accuracy else FAILS


def conflicts_table(conflicts: Sequence[Conflict]) -> Table:
    """Conflicting tasks beside the paper's LLaMA 13B."""
    titles = ("regular: A", "regular: B", "θ of B: A", "θ of B: B")
    return Table(
        "conflicts",
        "Conflicting tasks",
        (
            Column("A → B"),
            Column("block", True),
            Column("n", True),
            *(Column(title, True) for title in titles),
            Column("follows B"),
            *(Column(f"paper: {title}", True) for title in titles),
        ),
        tuple(_conflict_row(one) for one in conflicts),
        "Demonstrations of A, without and with θ of B; share of answers right for A and for B with "
        "95 % Wilson intervals. The paper's are LLaMA 13B's.",
    )


def _conflict_row(one: Conflict) -> tuple[Cell, ...]:
    verdict = conflict_verdict(one)
    theirs = paper.CONFLICTS.get((one.a, one.b))
    papers = (
        (theirs.regular_a, theirs.regular_b, theirs.injected_a, theirs.injected_b)
        if theirs
        else (None,) * 4
    )
    return (
        Cell(f"{one.a} → {one.b}"),
        number(one.layer, 0),
        number(one.n, 0),
        *map(_share, (one.regular.a, one.regular.b, one.injected.a, one.injected.b)),
        Cell(FOLLOWS[verdict], mark=MARKS[verdict]),
        *map(number, papers),
    )


def _share(accuracy: Estimate) -> Cell:
    return span(accuracy.accuracy, accuracy.low, accuracy.high)


def conflicts(run: Run) -> Drawing | None:
    """Accuracy on A and on B, without and with θ of B."""
    pairs = run.conflicts
    if not pairs:
        return None
    shown = "; ".join(
        f"{pair.a} to {pair.b}: A {pair.regular.a.accuracy:.2f} and B "
        f"{pair.regular.b.accuracy:.2f} without, A {pair.injected.a.accuracy:.2f} and B "
        f"{pair.injected.b.accuracy:.2f} with θ of B"
        for pair in pairs
    )
    counts = sorted({pair.n for pair in pairs})
    return Drawing(
        name="conflicts",
        title="Conflicting tasks",
        caption=(
            "Demonstrations of task A; on the right θ of task B is injected. Share of answers that "
            f"are right for A and right for B, n = {' to '.join(map(str, counts))} prompts a pair, "
            "95 % Wilson intervals."
        ),
        alternative=f"Bar chart. {shown}.",
        draw=lambda: _draw_conflicts(pairs),
    )


def _draw_conflicts(pairs: Sequence[Conflict]) -> "Figure":
    figure = new_figure(0.5 * len(pairs) + 1.2)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, title, shares in zip(
        panels,
        ("without injection", "θ of B injected"),
        (
            [(_span(pair.regular.a), _span(pair.regular.b)) for pair in pairs],
            [(_span(pair.injected.a), _span(pair.injected.b)) for pair in pairs],
        ),
        strict=True,
    ):
        rows = range(len(pairs))
        for place, (task, colour) in enumerate((("A", ORANGE), ("B", BLUE))):
            values = [share[place] for share in shares]
            places = [row + (place - 0.5) * 0.36 for row in rows]
            draw_bars(axes, places, values, colour, f"right for {task}", 0.34)
        axes.set_title(title)
        axes.set_xlabel("share right")
        axes.set_xticks([0, 0.5, 1])
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
    name_rows(panels[0], [f"{short(pair.a)}\n→ {short(pair.b)}" for pair in pairs], 7)
    legend_above(figure, panels[0])
    return figure


def _span(share: Estimate) -> Span:
    return share.accuracy, share.low, share.high

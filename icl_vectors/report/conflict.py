"""Conflicting tasks in the report: which one do the answers follow?"""

from collections.abc import Mapping, Sequence
from typing import Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.report import drawing, paper
from icl_vectors.report.drawing import BLUE, ORANGE, Drawing
from icl_vectors.report.section import (
    FAILS,
    HOLDS,
    MARKS,
    UNTESTED,
    WEAKLY,
    Claim,
    Section,
    verdict_of,
)
from icl_vectors.report.statistics import Interval, n_of
from icl_vectors.report.table import Cell, Table, Value, interval, numbers, words
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import Conflict

FOLLOWS = {HOLDS: "clearly", WEAKLY: "leaning", FAILS: "no"}


def sections(run: Run) -> list[Section]:
    """The pairs as a figure and a table beside the paper's LLaMA 13B."""
    found, claims = run.conflicts, (answers_follow_theta(run.conflicts),)
    figures, tables = ((_figure(found),), (conflicts_table(found),)) if found else ((), ())
    return [Section("conflicts", "Conflicting tasks", claims, figures, tables)]


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
        verdicts, n = [conflict_verdict(one) for one in conflicts], len(conflicts)
        clear = verdicts.count(HOLDS)
        leaning = clear + verdicts.count(WEAKLY)
        value = clear / n
        verdict = verdict_of(value >= 0.75, leaning / n > 0.5)
        ours = f"clearly in {clear} of {n} pairs, leaning to B in {leaning}"
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
    a, b = conflict.injected.a, conflict.injected.b
    return verdict_of(b.low > a.high, b.accuracy > a.accuracy)


def conflicts_table(conflicts: Sequence[Conflict]) -> Table:
    """Conflicting tasks beside the paper's LLaMA 13B."""
    titles = ("regular: A", "regular: B", "θ of B: A", "θ of B: B")
    columns = words("A → B") + numbers("block", "n", *titles) + words("follows B")
    return Table.of(
        "conflicts",
        "Conflicting tasks",
        columns + numbers(*(f"paper: {title}" for title in titles)),
        map(_row, conflicts),
        "Demonstrations of A, without and with θ of B; share of answers right for A and for B with "
        "95 % Wilson intervals. The paper's are LLaMA 13B's.",
    )


def _row(one: Conflict) -> tuple[Value, ...]:
    verdict = conflict_verdict(one)
    return (
        f"{one.a} → {one.b}",
        one.layer,
        one.n,
        *(one.regular.a, one.regular.b, one.injected.a, one.injected.b),
        Cell(FOLLOWS[verdict], mark=MARKS[verdict]),
        *paper.CONFLICTS.get((one.a, one.b), (None,) * 4),
    )


def _figure(pairs: Sequence[Conflict]) -> Drawing:
    """Accuracy on A and on B, without and with θ of B."""
    shown = "; ".join(
        f"{pair.a} to {pair.b}: A {pair.regular.a.accuracy:.2f} and B "
        f"{pair.regular.b.accuracy:.2f} without, A {pair.injected.a.accuracy:.2f} and B "
        f"{pair.injected.b.accuracy:.2f} with θ of B"
        for pair in pairs
    )
    return Drawing(
        name="conflicts",
        title="Conflicting tasks",
        caption=(
            "Demonstrations of task A; on the right θ of task B is injected. Share of answers that "
            f"are right for A and right for B, {n_of(pair.n for pair in pairs)} prompts a pair, "
            "95 % Wilson intervals."
        ),
        alternative=f"Bar chart. {shown}.",
        draw=lambda: _draw(pairs),
    )


def _draw(pairs: Sequence[Conflict]) -> "drawing.Figure":
    figure = drawing.new_figure(0.5 * len(pairs) + 1.2)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, title, which in zip(
        panels, ("without injection", "θ of B injected"), ("regular", "injected"), strict=True
    ):
        for place, (side, colour) in enumerate((("a", ORANGE), ("b", BLUE))):
            values = [Interval.of(getattr(getattr(pair, which), side)) for pair in pairs]
            rows = [row + (place - 0.5) * 0.36 for row in range(len(pairs))]
            drawing.draw_bars(axes, rows, values, colour, f"right for {side.upper()}", 0.3196)
        axes.set(title=title, xlabel="share right", xticks=[0, 0.5, 1])
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
    drawing.name_rows(
        panels[0], [f"{drawing.short(pair.a)}\n→ {drawing.short(pair.b)}" for pair in pairs], 7
    )
    drawing.legend_above(figure, panels[0])
    return figure

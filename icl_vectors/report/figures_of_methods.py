"""Bars: baseline, hypothesis and regular a task; conflicting tasks with and without θ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from icl_vectors.report.drawing import (
    BLUE,
    INK,
    METHOD_COLOURS,
    ORANGE,
    VERMILION,
    Drawing,
    drawn_of,
    new_figure,
    order_categories,
    short,
)
from icl_vectors.report.run import METHODS, Conflict, Run
from icl_vectors.report.statistics import TaskMean, task_means
from icl_vectors.scoring import Accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Span: TypeAlias = tuple[float, float, float]  # share, low, high
BAR = 0.26
ROW_HEIGHT = 0.36  # inches


def methods_by_task(run: Run) -> Drawing | None:
    """Three bars a task, grouped by category."""
    tasks, rest = drawn_of(task_means(run.tasks))
    if not tasks:
        return None
    counts = sorted({task.n_test for task in tasks})
    shown = "; ".join(
        f"{task.task} {task.baseline.mean:.2f}, {task.hypothesis.mean:.2f}, {task.regular.mean:.2f}"
        for task in tasks
    )
    return Drawing(
        name="methods_by_task",
        title="Baseline, hypothesis and regular, each task",
        caption=(
            "Accuracy on test prompts "
            f"(n = {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} a task) with "
            f"95 % Wilson intervals.{_marks(tasks)}{rest}"
        ),
        alternative=f"Bar chart. Baseline, hypothesis, regular by task: {shown}.{_marks(tasks)}",
        draw=lambda: _draw_methods(tasks),
    )


def _marks(tasks: Sequence[TaskMean]) -> str:
    """What a cross and an upright line mean, where there are some."""
    failing = [f"{task.task} ({'; '.join(task.fails)})" for task in tasks if task.fails]
    crosses = f" × marks a task that θ does not carry: {', '.join(failing)}." if failing else ""
    lines = " Upright line: the best constant answer." if any(t.constant for t in tasks) else ""
    return crosses + lines


def conflicts(run: Run) -> Drawing | None:
    """Accuracy on A and on B, without and with θ of B."""
    pairs = run.conflicts
    if not pairs:
        return None
    shown = "; ".join(
        f"{pair.a} to {pair.b}: A {pair.regular_a.accuracy:.2f} and B "
        f"{pair.regular_b.accuracy:.2f} without, A {pair.injected_a.accuracy:.2f} and B "
        f"{pair.injected_b.accuracy:.2f} with θ of B"
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


def _draw_methods(tasks: Sequence[TaskMean]) -> "Figure":
    categories = order_categories([task.category for task in tasks])
    groups = [[task for task in tasks if task.category == category] for category in categories]
    sizes = [len(group) for group in groups]
    figure = new_figure(ROW_HEIGHT * sum(sizes) + 0.3 * len(groups) + 0.7)
    grid = figure.subplots(
        len(groups), 1, sharex=True, squeeze=False, height_ratios=[size + 0.2 for size in sizes]
    )
    for axes, group, category in zip(grid[:, 0], groups, categories, strict=True):
        for number, method in enumerate(METHODS):
            rows = [row + (number - 1) * BAR for row in range(len(group))]
            measures = [task.measure(method) for task in group]
            values = [(one.mean, one.low, one.high) for one in measures]
            _draw_bars(axes, rows, values, METHOD_COLOURS[method], method)
        for row, task in enumerate(group):
            if task.constant is not None:
                axes.vlines(task.constant.mean, row - 0.42, row + 0.42, color=INK, linewidth=1.6)
            if task.fails:
                axes.plot(0.02, row, "X", markersize=6, color=VERMILION, markeredgecolor=INK)
        _name_rows(axes, [short(task.task) for task in group])
        axes.set_title(category, loc="left", fontweight="bold")
    grid[-1, 0].set_xlabel("accuracy on test (share right)")
    _legend(figure, grid[0, 0])
    return figure


def _draw_conflicts(pairs: Sequence[Conflict]) -> "Figure":
    figure = new_figure(0.5 * len(pairs) + 1.2)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, title, shares in zip(
        panels,
        ("without injection", "θ of B injected"),
        (
            [(_span(pair.regular_a), _span(pair.regular_b)) for pair in pairs],
            [(_span(pair.injected_a), _span(pair.injected_b)) for pair in pairs],
        ),
        strict=True,
    ):
        rows = range(len(pairs))
        for number, (task, colour) in enumerate((("A", ORANGE), ("B", BLUE))):
            values = [share[number] for share in shares]
            places = [row + (number - 0.5) * 0.36 for row in rows]
            _draw_bars(axes, places, values, colour, f"right for {task}", 0.34)
        axes.set_title(title)
        axes.set_xlabel("share right")
        axes.set_xticks([0, 0.5, 1])
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
    _name_rows(panels[0], [f"{short(pair.a)}\n→ {short(pair.b)}" for pair in pairs], 7)
    _legend(figure, panels[0])
    return figure


def _span(share: Accuracy) -> Span:
    return share.accuracy, share.low, share.high


def _draw_bars(
    axes: "Axes",
    rows: Sequence[float],
    values: Sequence[Span],
    colour: str,
    label: str,
    height: float = BAR,
) -> None:
    axes.barh(rows, [share for share, _, _ in values], height * 0.94, color=colour, label=label)
    below = [max(0.0, share - low) for share, low, _ in values]
    above = [max(0.0, high - share) for share, _, high in values]
    axes.errorbar(
        [share for share, _, _ in values],
        rows,
        xerr=[below, above],
        fmt="none",
        ecolor=INK,
        elinewidth=0.8,
        capsize=1.5,
    )


def _name_rows(axes: "Axes", names: Sequence[str], size: float = 8) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, 1.02)
    axes.grid(False, axis="y")


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))

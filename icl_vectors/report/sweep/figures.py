"""Accuracy of each method, and by block: each task, and the mean over tasks."""

from collections.abc import Sequence
from math import ceil

from icl_vectors.report import drawing, paper
from icl_vectors.report.drawing import BAR, BLUE, FAINT, INK, METHOD_COLOURS, VERMILION, Drawing
from icl_vectors.report.statistics import (
    Curve,
    TaskMean,
    mean_curve,
    n_of,
    task_means,
    with_reasons,
)
from icl_vectors.report.sweep.tables import by_category
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS

ACCURACY = "accuracy (share right)"
ROW_HEIGHT = 0.36  # inches
PANEL_HEIGHT = 1.15  # inches


def layers_by_task(run: Run) -> Drawing | None:
    """One small panel a task, in a grid by category."""
    tasks, rest = drawing.drawn_of(task_means(run.tasks))
    if not tasks:
        return None
    best = ", ".join(f"{task.task} {'/'.join(map(str, task.best_layers))}" for task in tasks)
    return Drawing(
        name="layers_by_task",
        title="Accuracy by block, each task",
        caption=(
            "Accuracy with θ injected at each block, on dev prompts "
            f"({n_of(task.n_dev for task in tasks)} a task{_seeds(tasks)}). Ring: the block "
            "chosen on dev (a cross where θ is not shown to carry the task: no success). "
            "Dashed: regular in-context learning, dotted: baseline, both on "
            f"{n_of(task.n_test for task in tasks)} test prompts.{rest}"
        ),
        alternative=f"One line chart a task. Best block by task: {best}.",
        draw=lambda: _draw_tasks(tasks, run.n_layers),
    )


def _draw_tasks(tasks: Sequence[TaskMean], n_layers: int) -> "drawing.Figure":
    groups = by_category(tasks)
    columns = [2 if len(group) in (2, 4) else 3 for group in groups.values()]
    rows = [ceil(len(group) / n) for group, n in zip(groups.values(), columns, strict=True)]
    figure = drawing.new_figure(PANEL_HEIGHT * sum(rows) + 0.3 * len(rows) + 0.2)
    parts = figure.subfigures(len(groups), 1, height_ratios=[n + 0.25 for n in rows], squeeze=False)
    shapes = zip(rows, columns, strict=True)
    for part, (category, group), shape in zip(parts[:, 0], groups.items(), shapes, strict=True):
        part.suptitle(category, fontsize=9, fontweight="bold", x=0.01, ha="left")
        part.supylabel("accuracy", fontsize=8)
        grid = part.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        colour, _ = drawing.category_style(category, list(groups))
        for axes, task in zip(grid.flat, group, strict=False):
            _draw_task(axes, task, n_layers, colour)
        for axes in list(grid.flat)[len(group) :]:
            axes.set_axis_off()
        for axes in list(grid.flat)[: len(group)][-shape[1] :]:
            axes.tick_params(labelbottom=True)
    parts[-1, 0].supxlabel("block (0 = first)", fontsize=8)
    return figure


def _draw_task(axes: "drawing.Axes", task: TaskMean, n_layers: int, colour: str) -> None:
    curve = {layer: value for layer, value in enumerate(task.curve) if value is not None}
    axes.axhline(task.regular.value, color=INK, linewidth=0.8, linestyle="--")
    axes.axhline(task.baseline.value, color=INK, linewidth=0.8, linestyle=":")
    axes.plot(list(curve), list(curve.values()), color=colour, linewidth=1.4)
    marker, face = ("X", VERMILION) if task.fails else ("o", "none")
    for layer in sorted(set(task.best_layers)):
        at = layer, curve.get(layer, 0.0)
        axes.plot(*at, marker, markersize=6, markeredgecolor=INK, markerfacecolor=face)
    axes.set_title(drawing.short(task.task), fontsize=7 if len(task.task) > 20 else 8)
    axes.set(ylim=(-0.05, 1.08), yticks=[0, 0.5, 1], xlim=(-0.5, n_layers - 0.5))
    drawing.whole_blocks(axes, 5)
    axes.tick_params(labelsize=7)


def layers_mean(run: Run) -> Drawing | None:
    """The mean curve over tasks with its band."""
    tasks = task_means(run.counted)
    curve = mean_curve(tasks, run.n_layers)
    if curve is None:
        return None
    band = "Band: 95 % bootstrap interval over tasks. " if curve.low else ""
    return Drawing(
        name="layers_mean",
        title="Accuracy by block, mean over tasks",
        caption=(
            f"Mean over {len(tasks)} task(s) of accuracy with θ injected at each block, on dev "
            f"prompts ({n_of(task.n_dev for task in tasks)} a task{_seeds(tasks)}). {band}"
            f"Best: block {curve.best_layer} (of 0 to {run.n_layers - 1}), depth {curve.depth}. "
            f"Grey strip: where the paper's seven models peak (depth {paper.DEPTHS[0]:.2f} to "
            f"{paper.DEPTHS[1]:.2f})."
        ),
        alternative=(
            f"Line chart: the mean curve begins at {curve.mean[0]:.2f}, peaks at "
            f"{max(curve.mean):.2f} in block {curve.best_layer} and ends at {curve.mean[-1]:.2f}."
        ),
        draw=lambda: _draw_mean(curve, run.n_layers),
    )


def _draw_mean(curve: Curve, n_layers: int) -> "drawing.Figure":
    limits = {"ylim": (-0.02, 1.02), "xlim": (-0.5, n_layers - 0.5)}
    figure, axes = drawing.new_axes(2.9, xlabel="block (0 = first)", ylabel=ACCURACY, **limits)
    low, high = (depth * n_layers - 1 for depth in paper.DEPTHS)
    axes.axvspan(low, high, color=FAINT, alpha=0.5, linewidth=0)
    draw_curve(axes, curve.layers, curve, BLUE, "-")
    best = curve.best_layer, max(curve.mean)
    axes.plot(*best, "o", markersize=7, markeredgecolor=INK, markerfacecolor="none")
    drawing.whole_blocks(axes)
    return figure


def draw_curve(
    axes: "drawing.Axes", x: Sequence[float], curve: Curve, colour: str, line: str, label: str = ""
) -> None:
    if curve.low is not None and curve.high is not None:
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, curve.mean, color=colour, linewidth=1.8, linestyle=line, label=label or None)


def _seeds(tasks: Sequence[TaskMean]) -> str:
    most = max(len(task.seeds) for task in tasks)
    return f", over {most} seeds" if most > 1 else ""


def methods_by_task(run: Run) -> Drawing | None:
    """Three bars a task, grouped by category."""
    tasks, rest = drawing.drawn_of(task_means(run.tasks))
    if not tasks:
        return None
    shown = "; ".join(
        f"{task.task} " + ", ".join(f"{one.value:.2f}" for one in task.by_method.values())
        for task in tasks
    )
    failing = with_reasons([task for task in tasks if task.fails])
    marks = f" × marks a task that θ is not shown to carry: {failing}." if failing else ""
    marks += " Upright line: the best constant answer." if any(t.constant for t in tasks) else ""
    return Drawing(
        name="methods_by_task",
        title="Baseline, hypothesis and regular, each task",
        caption=(
            f"Accuracy on test prompts ({n_of(task.n_test for task in tasks)} a task) with "
            f"95 % Wilson intervals.{marks}{rest}"
        ),
        alternative=f"Bar chart. Baseline, hypothesis, regular by task: {shown}.{marks}",
        draw=lambda: _draw_methods(tasks),
    )


def _draw_methods(tasks: Sequence[TaskMean]) -> "drawing.Figure":
    groups = by_category(tasks)
    figure = drawing.new_figure(ROW_HEIGHT * len(tasks) + 0.3 * len(groups) + 0.7)
    heights = [len(group) + 0.2 for group in groups.values()]
    grid = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, (category, group) in zip(grid[:, 0], groups.items(), strict=True):
        for number, method in enumerate(METHODS):
            rows = [row + (number - 1) * BAR for row in range(len(group))]
            values = [task.by_method[method] for task in group]
            drawing.draw_bars(axes, rows, values, METHOD_COLOURS[method], method)
        for row, task in enumerate(group):
            if task.constant is not None:
                axes.vlines(task.constant.value, row - 0.42, row + 0.42, color=INK, linewidth=1.6)
            if task.fails:
                axes.plot(0.02, row, "X", markersize=6, color=VERMILION, markeredgecolor=INK)
        drawing.name_rows(axes, [drawing.short(task.task) for task in group])
        axes.set_title(category, loc="left", fontweight="bold")
    grid[-1, 0].set_xlabel("accuracy on test (share right)")
    drawing.legend_above(figure, grid[0, 0])
    return figure

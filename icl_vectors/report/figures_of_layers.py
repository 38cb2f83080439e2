"""Accuracy by block: one panel a task, the mean over tasks, and several runs on relative depth."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING

from icl_vectors.report import paper
from icl_vectors.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    Drawing,
    category_style,
    drawn_of,
    new_figure,
    order_categories,
    short,
    whole_blocks,
)
from icl_vectors.report.run import Run
from icl_vectors.report.statistics import Curve, TaskMean, mean_curve, task_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_HEIGHT = 1.15  # inches
ACCURACY = "accuracy (share right)"
RUN_STYLES = (
    (BLUE, "-", "o"),
    (VERMILION, "--", "s"),
    (GREEN, "-.", "^"),
    (PINK, ":", "D"),
    (ORANGE, "-", "v"),
    (SKY, "--", "P"),
    (GREY, "-.", "X"),
)


def layers_by_task(run: Run) -> Drawing | None:
    """One small panel a task, in a grid by category."""
    tasks, rest = drawn_of(task_means(run.tasks))
    if not tasks:
        return None
    best = ", ".join(f"{task.task} {'/'.join(map(str, task.best_layers))}" for task in tasks)
    return Drawing(
        name="layers_by_task",
        title="Accuracy by block, each task",
        caption=(
            "Accuracy with θ injected at each block, on dev prompts "
            f"({_counts([task.n_dev for task in tasks])} a task{_seeds(tasks)}). Ring: the block "
            "chosen on dev (a cross where θ does not carry the task: no success). "
            "Dashed: regular in-context learning, dotted: baseline, both on "
            f"{_counts([task.n_test for task in tasks])} test prompts.{rest}"
        ),
        alternative=f"One line chart a task. Best block by task: {best}.",
        draw=lambda: _draw_tasks(tasks, run.n_layers),
    )


def layers_mean(run: Run) -> Drawing | None:
    """The mean curve over tasks with its band."""
    tasks = task_means(run.counted)
    curve = mean_curve(tasks, run.n_layers)
    if curve is None:
        return None
    peak = max(curve.mean)
    band = "Band: 95 % bootstrap interval over tasks. " if curve.low else ""
    return Drawing(
        name="layers_mean",
        title="Accuracy by block, mean over tasks",
        caption=(
            f"Mean over {len(tasks)} task(s) of accuracy with θ injected at each block, on dev "
            f"prompts ({_counts([task.n_dev for task in tasks])} a task{_seeds(tasks)}). {band}"
            f"Best block {curve.best_layer} of {run.n_layers}, depth {curve.depth}. Grey strip: "
            f"where the paper's seven models peak (depth {paper.DEPTHS[0]:.2f} to "
            f"{paper.DEPTHS[1]:.2f})."
        ),
        alternative=(
            f"Line chart: the mean curve begins at {curve.mean[0]:.2f}, peaks at {peak:.2f} in "
            f"block {curve.best_layer} and ends at {curve.mean[-1]:.2f}."
        ),
        draw=lambda: _draw_mean(curve, run.n_layers),
    )


def layers_of_runs(runs: Sequence[Run], labels: Sequence[str]) -> Drawing | None:
    """The mean curves of several runs on relative depth, the best depths below."""
    curves = [mean_curve(task_means(run.counted), run.n_layers) for run in runs]
    found = [
        (label, run.n_layers, curve)
        for label, run, curve in zip(labels, runs, curves, strict=True)
        if curve is not None
    ]
    if len(found) < 2:
        return None
    depths = "; ".join(f"{label} {curve.depth}" for label, _, curve in found)
    return Drawing(
        name="layers_of_runs",
        title="Accuracy by relative depth, all runs",
        caption=(
            "Mean over tasks of accuracy with θ injected, on relative depth (block + 1) / blocks; "
            "bands and bars: 95 % bootstrap intervals over tasks. Below: the best depth of each "
            f"run. Grey strip: the paper's seven models. {depths}."
        ),
        alternative=f"Line chart with one curve a run. Best depth: {depths}.",
        draw=lambda: _draw_runs(found),
    )


def _draw_tasks(tasks: Sequence[TaskMean], n_layers: int) -> "Figure":
    categories = order_categories([task.category for task in tasks])
    groups = [[task for task in tasks if task.category == category] for category in categories]
    columns = [2 if len(group) in (2, 4) else 3 for group in groups]
    rows = [ceil(len(group) / n) for group, n in zip(groups, columns, strict=True)]
    figure = new_figure(PANEL_HEIGHT * sum(rows) + 0.3 * len(rows) + 0.2)
    parts = figure.subfigures(len(groups), 1, height_ratios=[n + 0.25 for n in rows], squeeze=False)
    shapes = zip(rows, columns, strict=True)
    for part, group, category, shape in zip(parts[:, 0], groups, categories, shapes, strict=True):
        part.suptitle(category, fontsize=9, fontweight="bold", x=0.01, ha="left")
        part.supylabel("accuracy", fontsize=8)
        grid = part.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        colour, _ = category_style(category, categories)
        for axes, task in zip(grid.flat, group, strict=False):
            _draw_task(axes, task, n_layers, colour)
        for axes in list(grid.flat)[len(group) :]:
            axes.set_axis_off()
        for axes in list(grid.flat)[: len(group)][-shape[1] :]:
            axes.tick_params(labelbottom=True)
    parts[-1, 0].supxlabel("block (0 = first)", fontsize=8)
    return figure


def _draw_task(axes: "Axes", task: TaskMean, n_layers: int, colour: str) -> None:
    layers = [layer for layer, value in enumerate(task.curve) if value is not None]
    axes.axhline(task.regular.mean, color=INK, linewidth=0.8, linestyle="--")
    axes.axhline(task.baseline.mean, color=INK, linewidth=0.8, linestyle=":")
    axes.plot(layers, [task.curve[layer] or 0.0 for layer in layers], color=colour, linewidth=1.4)
    for layer in sorted(set(task.best_layers)):
        marker = "X" if task.fails else "o"
        axes.plot(
            layer,
            task.curve[layer] or 0.0,
            marker,
            markersize=6,
            markeredgecolor=INK,
            markerfacecolor=VERMILION if task.fails else "none",
        )
    axes.set_title(short(task.task), fontsize=7 if len(task.task) > 20 else 8)
    axes.set_ylim(-0.05, 1.08)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(-0.5, n_layers - 0.5)
    whole_blocks(axes, 5)
    axes.tick_params(labelsize=7)


def _draw_mean(curve: Curve, n_layers: int) -> "Figure":
    figure = new_figure(2.9)
    axes = figure.subplots()
    low, high = (depth * n_layers - 1 for depth in paper.DEPTHS)
    axes.axvspan(low, high, color=FAINT, alpha=0.5, linewidth=0)
    _draw_curve(axes, curve.layers, curve, BLUE, "-")
    axes.plot(
        curve.best_layer,
        max(curve.mean),
        "o",
        markersize=7,
        markeredgecolor=INK,
        markerfacecolor="none",
    )
    axes.set_xlabel("block (0 = first)")
    axes.set_ylabel(ACCURACY)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(-0.5, n_layers - 0.5)
    whole_blocks(axes)
    return figure


def _draw_runs(found: Sequence[tuple[str, int, Curve]]) -> "Figure":
    figure = new_figure(3.4 + 0.24 * len(found))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 0.3 * len(found) + 0.3])
    for axes in (upper, lower):
        axes.axvspan(*paper.DEPTHS, color=FAINT, alpha=0.5, linewidth=0)
    for row, (label, n_layers, curve) in enumerate(found):
        colour, line, marker = RUN_STYLES[row % len(RUN_STYLES)]
        depths = [(layer + 1) / n_layers for layer in curve.layers]
        _draw_curve(upper, depths, curve, colour, line, label)
        if curve.depth.low is not None and curve.depth.high is not None:
            lower.plot([curve.depth.low, curve.depth.high], [row, row], color=colour, linewidth=2)
        lower.plot(curve.depth.value, row, marker, color=colour, markersize=6)
    upper.set_ylabel(ACCURACY)
    upper.set_ylim(-0.02, 1.02)
    upper.legend(loc="upper left", fontsize=7.5)
    lower.set_yticks(range(len(found)), [short(label) for label, _, _ in found], fontsize=7.5)
    lower.set_ylim(len(found) - 0.5, -0.5)
    lower.set_xlabel("relative depth (block + 1) / blocks")
    lower.set_xlim(0, 1.01)
    return figure


def _draw_curve(
    axes: "Axes", x: Sequence[float], curve: Curve, colour: str, line: str, label: str = ""
) -> None:
    if curve.low is not None and curve.high is not None:
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, curve.mean, color=colour, linewidth=1.8, linestyle=line, label=label or None)


def _counts(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def _seeds(tasks: Sequence[TaskMean]) -> str:
    most = max(len(task.seeds) for task in tasks)
    return f", over {most} seeds" if most > 1 else ""

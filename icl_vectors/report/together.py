"""Several runs beside each other and beside the paper's models."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from icl_vectors.report import paper
from icl_vectors.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    Drawing,
    new_figure,
    short,
)
from icl_vectors.report.section import FAILS, HOLDS, UNTESTED, WEAKLY, Claim
from icl_vectors.report.statistics import FEWEST_TASKS, Curve, Interval, mean_curve, task_means
from icl_vectors.report.sweep.figures import ACCURACY, draw_curve
from icl_vectors.report.table import Column
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAME_DEPTH = 0.15  # of the model's depth
RUN_STYLES = (
    (BLUE, "-", "o"),
    (VERMILION, "--", "s"),
    (GREEN, "-.", "^"),
    (PINK, ":", "D"),
    (ORANGE, "-", "v"),
    (SKY, "--", "P"),
    (GREY, "-.", "X"),
)
METHOD_COLUMNS = tuple(Column(method, True) for method in METHODS)


def same_depth(runs: Sequence[Run]) -> Claim:
    """Whether the best depth is the same over several runs."""
    curves = [(run, mean_curve(task_means(run.counted), run.n_layers)) for run in runs]
    found = [(run, curve.depth) for run, curve in curves if curve is not None]
    models = {run.fingerprint for run, _ in found}
    depths = [depth for _, depth in found]
    verdict, ours = UNTESTED, "; ".join(f"{run.label}: {depth}" for run, depth in found)
    if len(depths) < 2:
        ours = ours or "no sweep in these folders"
    else:
        ours = f"{_spread(depths)}. {ours}"
    if len(models) > 1 and all(depth.low is not None for depth in depths):
        close = max(d.value for d in depths) - min(d.value for d in depths) <= SAME_DEPTH
        verdict = [FAILS, WEAKLY, HOLDS][close + _overlap_all(depths)]
    elif len(depths) > 1 and len(models) == 1:
        several = len({run.dtype for run, _ in found}) > 1
        ours += " (one model in several dtypes)" if several else " (one model)"
    return Claim(
        "the same depth in every model",
        "The best block lies at a similar depth over models and sizes.",
        f"7 models: depth {paper.DEPTHS[0]:.2f} to {paper.DEPTHS[1]:.2f}",
        ours,
        verdict,
        f"Best depths within {SAME_DEPTH:.2f} of each other, and 95 % bootstrap intervals over "
        "tasks that overlap in every pair: both hold → holds, one → weakly. Not tested with one "
        f"model, or with fewer than {FEWEST_TASKS} tasks.",
    )


def _overlap_all(depths: Sequence[Interval]) -> bool:
    return all(_overlap(one, other) for one, other in combinations(depths, 2))


def _overlap(one: Interval, other: Interval) -> bool:
    bounds = one.low, one.high, other.low, other.high
    if None in bounds:
        return False
    return max(one.low or 0, other.low or 0) <= min(one.high or 0, other.high or 0)


def _spread(depths: Sequence[Interval]) -> str:
    values = [depth.value for depth in depths]
    return f"best depths {min(values):.2f} to {max(values):.2f}"


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


def _draw_runs(found: Sequence[tuple[str, int, Curve]]) -> "Figure":
    figure = new_figure(3.4 + 0.24 * len(found))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 0.3 * len(found) + 0.3])
    for axes in (upper, lower):
        axes.axvspan(*paper.DEPTHS, color=FAINT, alpha=0.5, linewidth=0)
    for row, (label, n_layers, curve) in enumerate(found):
        colour, line, marker = RUN_STYLES[row % len(RUN_STYLES)]
        depths = [(layer + 1) / n_layers for layer in curve.layers]
        draw_curve(upper, depths, curve, colour, line, label)
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

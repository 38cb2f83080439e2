"""Figures of a comparison: methods beside their controls, against shots, under other arrows."""

from collections.abc import Sequence
from statistics import fmean
from typing import TypeAlias

from icl_vectors.report import drawing
from icl_vectors.report.drawing import Drawing
from icl_vectors.report.statistics import mean_interval
from icl_vectors.runs.run import REGULAR, ZERO_SHOT, Comparison, Run
from icl_vectors.runs.schema import Compared

ROW_HEIGHT = 0.4  # inches
CONTROL_STYLES = {
    "random": (drawing.GREY, "X"),
    "shuffled": (drawing.YELLOW, "s"),
    "other-task": (drawing.VERMILION, "D"),
    "task-mean": (drawing.PINK, "^"),
}
COLOURS = (
    drawing.BLUE,
    drawing.GREEN,
    drawing.SKY,
    drawing.VERMILION,
    drawing.PINK,
    drawing.ORANGE,
    drawing.YELLOW,
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
Means: TypeAlias = dict[str, dict[str, float]]  # by method and condition
ON_TEST = "mean accuracy on test"


def comparison_drawings(run: Run) -> list[Drawing]:
    """The figures for which the run has data."""
    found = run.comparison
    if found is None or not found.entries:
        return []
    shown = "; ".join(f"{method} {_mean(found, method):.2f}" for method in found.methods)
    methods = Drawing(
        name="methods_compared",
        title="Kinds of task vectors beside their controls",
        caption=(
            f"Mean accuracy over {len(found.tasks)} tasks, from three on with 95 % bootstrap "
            "interval over tasks (bars), and the means of each method's controls (marks). A "
            "method whose bar does not pass its marks carries no more than they do."
        ),
        alternative=f"Bar chart of mean accuracies: {shown}.",
        draw=lambda: _draw_methods(found),
    )
    by_shots = _means_of(found, found.shots)
    curves = Drawing(
        name="shots",
        title="Accuracy against the number of demonstrations",
        caption=(
            "Means over tasks. The choices of layer and strength are those made with the "
            "comparison's own number of demonstrations; without any, regular is zero-shot."
        ),
        alternative=f"Line chart of accuracy by number of demonstrations: {_described(by_shots)}",
        draw=lambda: _draw_curves(by_shots),
    )
    by_arrow = _means_of(found, found.arrows)
    transfer = Drawing(
        name="arrows",
        title="The same vectors under other arrows",
        caption=(
            "Vectors made under the template's own arrow (its own), injected into queries "
            "with other arrows. Means over tasks."
        ),
        alternative=f"Bar chart of accuracy by arrow: {_described(by_arrow)}",
        draw=lambda: _draw_transfer(
            {method: {"its own": _mean(found, method), **own} for method, own in by_arrow.items()}
        ),
    )
    return [methods, *([curves] if by_shots else []), *([transfer] if by_arrow else [])]


def _draw_methods(found: Comparison) -> "drawing.Figure":
    methods = found.methods
    figure, axes = drawing.new_axes(ROW_HEIGHT * len(methods) + 1.0, xlabel=ON_TEST)
    for row, method in enumerate(methods):
        mean = mean_interval([one.accuracy for one in found.of_method(method).values()])
        colour = {REGULAR: drawing.ORANGE, ZERO_SHOT: drawing.GREY}.get(method, drawing.BLUE)
        drawing.draw_bars(axes, [row], [mean], colour, height=0.62)
        for number, name in enumerate(found.controls_of(method)):
            kind = name.rpartition(":")[2]
            control, marker = CONTROL_STYLES.get(kind, (drawing.INK, "P"))
            axes.plot(
                _mean(found, name),
                row + 0.14 * (number - 1.5),
                marker,
                color=control,
                markeredgecolor=drawing.INK,
                markeredgewidth=0.5,
                markersize=6,
                linestyle="none",
                label=kind,
                zorder=5,
            )
    drawing.name_rows(axes, methods)
    handles, labels = axes.get_legend_handles_labels()
    if once := dict(zip(labels, handles, strict=True)):
        figure.legend(list(once.values()), list(once), loc="outside upper center", ncols=len(once))
    return figure


def _draw_curves(by_shots: Means) -> "drawing.Figure":
    figure, axes = drawing.new_axes(3.4, ylim=(0, 1.02), xlabel="demonstrations", ylabel=ON_TEST)
    for number, (method, means) in enumerate(by_shots.items()):
        shots, is_regular = sorted(means, key=int), method == REGULAR
        axes.plot(
            list(map(int, shots)),
            [means[n] for n in shots],
            color=drawing.INK if is_regular else COLOURS[(number - 1) % len(COLOURS)],
            marker="*" if is_regular else MARKERS[(number - 1) % len(MARKERS)],
            linestyle="--" if is_regular else "-",
            linewidth=1.2,
            markersize=5,
            label=method,
        )
    drawing.whole_blocks(axes)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _draw_transfer(by_arrow: Means) -> "drawing.Figure":
    arrows = list(dict.fromkeys(arrow for means in by_arrow.values() for arrow in means))
    figure, axes = drawing.new_axes(ROW_HEIGHT * len(by_arrow) + 1.0, xlabel=ON_TEST)
    height = 0.8 / len(arrows)
    for place, arrow in enumerate(arrows):
        for row, means in enumerate(by_arrow.values()):
            axes.barh(
                row + (place - (len(arrows) - 1) / 2) * height,
                means[arrow],
                height * 0.92,
                color=COLOURS[place % len(COLOURS)],
                label=arrow if row == 0 else None,
            )
    drawing.name_rows(axes, list(by_arrow))
    figure.legend(loc="outside upper center", ncols=len(arrows))
    return figure


def _mean(found: Comparison, method: str) -> float:
    return fmean(one.accuracy for one in found.of_method(method).values())


def _means_of(found: Comparison, entries: Sequence[Compared]) -> Means:
    """Of each method that is among the entries, by arrow or by number of demonstrations."""
    shares: dict[str, dict[str, list[float]]] = {}
    for one in entries:
        shares.setdefault(one.method, {}).setdefault(one.condition, []).append(one.accuracy)
    named = [method for method in found.methods if method in shares]
    return {method: {c: fmean(own) for c, own in shares[method].items()} for method in named}


def _described(series: Means) -> str:
    return "; ".join(
        f"{method} {', '.join(f'{condition}: {mean:.2f}' for condition, mean in means.items())}"
        for method, means in series.items()
    )

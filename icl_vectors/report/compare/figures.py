"""Figures of a comparison: methods beside their controls, against shots, under other arrows."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from icl_vectors.report.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    YELLOW,
    Drawing,
    name_rows,
    new_axes,
    whole_blocks,
)
from icl_vectors.report.statistics import mean_interval
from icl_vectors.runs.run import REGULAR, ZERO_SHOT, Comparison, Run
from icl_vectors.runs.schema import Compared

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW_HEIGHT = 0.4  # inches
CONTROL_STYLES = {
    "random": (GREY, "X"),
    "shuffled": (YELLOW, "s"),
    "other-task": (VERMILION, "D"),
    "task-mean": (PINK, "^"),
}
COLOURS = (BLUE, GREEN, SKY, VERMILION, PINK, ORANGE, YELLOW)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
ON_TEST = "mean accuracy on test"


def comparison_drawings(run: Run) -> list[Drawing]:
    """The figures for which the run has data."""
    found = run.comparison
    if found is None or not found.entries:
        return []
    drawings = [_methods(found)]
    if found.shots:
        drawings.append(_curves(found))
    if found.arrows:
        drawings.append(_transfer(found))
    return drawings


def _methods(found: Comparison) -> Drawing:
    shown = "; ".join(f"{method} {_mean(found, method):.2f}" for method in found.methods)
    return Drawing(
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


def _curves(found: Comparison) -> Drawing:
    return Drawing(
        name="shots",
        title="Accuracy against the number of demonstrations",
        caption=(
            "Means over tasks. The choices of layer and strength are those made with the "
            "comparison's own number of demonstrations; without any, regular is zero-shot."
        ),
        alternative=f"Line chart of accuracy by number of demonstrations: "
        f"{_told(found, found.shots)}",
        draw=lambda: _draw_curves(found),
    )


def _transfer(found: Comparison) -> Drawing:
    return Drawing(
        name="arrows",
        title="The same vectors under other arrows",
        caption=(
            "Vectors made under the template's own arrow (its own), put into queries with other "
            "arrows. Means over tasks."
        ),
        alternative=f"Bar chart of accuracy by arrow: {_told(found, found.arrows)}",
        draw=lambda: _draw_transfer(found),
    )


def _draw_methods(found: Comparison) -> "Figure":
    methods = found.methods
    figure, axes = new_axes(ROW_HEIGHT * len(methods) + 1.0, xlabel=ON_TEST)
    for row, method in enumerate(methods):
        mean = mean_interval([one.accuracy for one in found.of_method(method).values()])
        colour = {REGULAR: ORANGE, ZERO_SHOT: GREY}.get(method, BLUE)
        axes.barh(row, mean.value, 0.62, color=colour)
        if mean.low is not None and mean.high is not None:
            beside = [[mean.value - mean.low], [mean.high - mean.value]]
            axes.errorbar(
                mean.value, row, xerr=beside, fmt="none", ecolor=INK, elinewidth=0.8, capsize=1.5
            )
        for number, name in enumerate(found.controls_of(method)):
            kind = name.rpartition(":")[2]
            control, marker = CONTROL_STYLES.get(kind, (INK, "P"))
            axes.plot(
                _mean(found, name),
                row + 0.14 * (number - 1.5),
                marker,
                color=control,
                markeredgecolor=INK,
                markeredgewidth=0.5,
                markersize=6,
                linestyle="none",
                label=kind,
                zorder=5,
            )
    name_rows(axes, methods)
    handles, labels = axes.get_legend_handles_labels()
    if once := dict(zip(labels, handles, strict=True)):
        figure.legend(list(once.values()), list(once), loc="outside upper center", ncols=len(once))
    return figure


def _draw_curves(found: Comparison) -> "Figure":
    figure, axes = new_axes(3.4, ylim=(0, 1.02), xlabel="demonstrations", ylabel=ON_TEST)
    for number, method in enumerate(_named(found, found.shots)):
        means = {int(shots): mean for shots, mean in _means(found.shots, method).items()}
        shots, is_regular = sorted(means), method == REGULAR
        axes.plot(
            shots,
            [means[n] for n in shots],
            color=INK if is_regular else COLOURS[(number - 1) % len(COLOURS)],
            marker="*" if is_regular else MARKERS[(number - 1) % len(MARKERS)],
            linestyle="--" if is_regular else "-",
            linewidth=1.2,
            markersize=5,
            label=method,
        )
    whole_blocks(axes)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _draw_transfer(found: Comparison) -> "Figure":
    methods = _named(found, found.arrows)
    arrows = list(dict.fromkeys(one.condition for one in found.arrows))
    figure, axes = new_axes(ROW_HEIGHT * len(methods) + 1.0, xlabel=ON_TEST)
    height = 0.8 / (len(arrows) + 1)
    for place, arrow in enumerate(["its own", *arrows]):
        for row, method in enumerate(methods):
            own = place == 0
            mean = _mean(found, method) if own else _means(found.arrows, method)[arrow]
            axes.barh(
                row + (place - len(arrows) / 2) * height,
                mean,
                height * 0.92,
                color=COLOURS[place % len(COLOURS)],
                label=arrow if row == 0 else None,
            )
    name_rows(axes, methods)
    figure.legend(loc="outside upper center", ncols=len(arrows) + 1)
    return figure


def _named(found: Comparison, entries: Sequence[Compared]) -> list[str]:
    there = {one.method for one in entries}
    return [method for method in found.methods if method in there]


def _mean(found: Comparison, method: str) -> float:
    return fmean(one.accuracy for one in found.of_method(method).values())


def _means(entries: Sequence[Compared], method: str) -> dict[str, float]:
    """By arrow, or by number of demonstrations."""
    own = [(one.condition, one.accuracy) for one in entries if one.method == method]
    conditions = dict.fromkeys(condition for condition, _ in own)
    return {one: fmean(share for of, share in own if of == one) for one in conditions}


def _told(found: Comparison, entries: Sequence[Compared]) -> str:
    series = {method: _means(entries, method) for method in _named(found, entries)}
    return "; ".join(
        f"{method} {', '.join(f'{condition}: {mean:.2f}' for condition, mean in means.items())}"
        for method, means in series.items()
    )

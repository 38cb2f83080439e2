"""Bars of shares with their intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from icl_vectors.report.drawing import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Span: TypeAlias = tuple[float, float, float]  # share, low, high
BAR = 0.26


def draw_bars(
    axes: "Axes",
    rows: Sequence[float],
    values: Sequence[Span],
    colour: str,
    label: str,
    height: float = BAR,
) -> None:
    """Horizontal bars with their intervals; `values` are (share, low, high)."""
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


def name_rows(axes: "Axes", names: Sequence[str], size: float = 8) -> None:
    """Names for rows of bars, the first at the top, on an axis of shares."""
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xlim(0, 1.02)
    axes.grid(False, axis="y")


def legend_above(figure: "Figure", axes: "Axes") -> None:
    """One legend over all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))

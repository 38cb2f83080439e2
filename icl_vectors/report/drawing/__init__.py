"""Drawing without pyplot: one style, a colour-blind-safe palette, SVG and PNG that never vary.

matplotlib is imported inside the functions.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from icl_vectors.plain_text import without_orders
from icl_vectors.report.drawing.fonts import choose_fonts, spell_out
from icl_vectors.report.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
    from matplotlib.typing import RcKeyType

# Okabe and Ito (2008)
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#e69f00", "#009e73", "#cc79a7"
VERMILION, SKY, YELLOW, GREY = "#d55e00", "#56b4e9", "#f0e442", "#8c8c8c"
METHOD_COLOURS = {"baseline": GREY, "hypothesis": BLUE, "regular": ORANGE}
CATEGORY_STYLES = {
    "algorithmic": (BLUE, "o"),
    "translation": (VERMILION, "s"),
    "linguistic": (GREEN, "^"),
    "knowledge": (PINK, "D"),
}
OTHER_STYLES = ((ORANGE, "v"), (SKY, "P"), (GREY, "X"))
LINE_STYLES = (
    (BLUE, "-", "o"),
    (VERMILION, "--", "s"),
    (GREEN, "-.", "^"),
    (PINK, ":", "D"),
    (ORANGE, "-", "v"),
    (SKY, "--", "P"),
    (GREY, "-.", "X"),
)
# No other element has these three: the page puts its own colours in their place.
INK, FAINT, GROUND = "#1b1b1c", "#d9d9da", "#fffffe"
WIDTH = 5.6  # inches: legible on a phone without zooming
NAME_LENGTH = 28
LONGEST_LABEL = 60
MOST_TASKS = 48  # in one figure
BAR = 0.26  # distance of bars, of a row's 1
STYLE: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8.5,
    "figure.facecolor": GROUND,
    "font.family": "sans-serif",
    "font.size": 8.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "savefig.dpi": 200,
    "savefig.facecolor": GROUND,
    "svg.fonttype": "none",
    "svg.hashsalt": "icl-vectors",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}
Item = TypeVar("Item")


@dataclass(frozen=True)
class Drawing:
    """A figure to be: its file name, what stands over and under it, and how it is drawn.

    Attributes:
        alternative: what a reader who can't see it is told.
    """

    name: str
    title: str
    caption: str
    alternative: str
    draw: "Callable[[], Figure]"


@dataclass(frozen=True)
class Picture(Drawing):
    """A drawing that was drawn."""

    svg: str
    png: bytes


def render(drawing: Drawing) -> Picture:
    """Draw as SVG and PNG; the same data gives the same bytes. No display or backend is needed."""
    _import_matplotlib()
    with _style():
        figure = drawing.draw()
        figure.draw_without_rendering()  # lays out once
        figure.set_layout_engine("none")
        from matplotlib.text import Text

        labels = figure.findobj(Text)
        for label in labels:
            label.set_text("\n".join(map(_shortened, label.get_text().split("\n"))))
        choose_fonts(labels)
        svg = _save(figure, "svg", {"Date": None, "Creator": None}).decode("utf-8")
        spell_out(labels)  # in the SVG text stays text
        png = _save(figure, "png", {"Software": None})
        return Picture(**vars(drawing), svg=svg, png=png)


def drawn_of(items: Sequence[Item]) -> tuple[Sequence[Item], str]:
    """The first of many tasks, and a remark: hundreds can't be told apart, nor drawn in time."""
    if len(items) <= MOST_TASKS:
        return items, ""
    return items[:MOST_TASKS], (
        f" The first {MOST_TASKS} of {len(items)} tasks are drawn; the table of tasks has all."
    )


def new_figure(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure, sizes in inches; only to be called by a drawing's `draw`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def new_axes(height: float, **settings: Any) -> "tuple[Figure, Axes]":
    """A new figure with one panel, and the panel: labels, limits and ticks as `Axes.set`."""
    figure = new_figure(height)
    axes = figure.subplots()
    axes.set(**settings)
    return figure, axes


def whole_blocks(axes: "Axes", most: int = 10) -> None:
    """Ticks of the x axis at whole numbers of blocks only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=most, integer=True))


def draw_bars(
    axes: "Axes",
    rows: Sequence[float],
    values: Sequence[Interval],
    colour: str,
    label: str | None = None,
    height: float = 0.94 * BAR,
) -> None:
    """Horizontal bars of shares with their intervals, where these are known."""
    shares = [one.value for one in values]
    axes.barh(rows, shares, height, color=colour, label=label)
    below = [max(0.0, one.value - one.low) for one in values if one.low is not None]
    above = [max(0.0, one.high - one.value) for one in values if one.high is not None]
    if len(below) == len(above) == len(values):
        ends = (below, above)
        axes.errorbar(shares, rows, xerr=ends, fmt="none", ecolor=INK, elinewidth=0.8, capsize=1.5)


def name_rows(axes: "Axes", names: Sequence[str], size: float = 8) -> None:
    """Names for rows of bars, the first at the top, on an axis of shares."""
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set(ylim=(len(names) - 0.45, -0.55), xlim=(0, 1.02))
    axes.grid(False, axis="y")


def legend_above(figure: "Figure", axes: "Axes") -> None:
    """One legend over all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


def short(name: str) -> str:
    """A task's name as it fits a panel."""
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def order_categories(categories: Sequence[str]) -> list[str]:
    """The paper's four in their order, then others by name."""
    found = set(categories)
    known = [category for category in CATEGORY_STYLES if category in found]
    return known + sorted(found - set(known))


def category_style(category: str, categories: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of a category, among those of the run."""
    if category in CATEGORY_STYLES:
        return CATEGORY_STYLES[category]
    others = [one for one in order_categories(categories) if one not in CATEGORY_STYLES]
    return OTHER_STYLES[others.index(category) % len(OTHER_STYLES)]


def _import_matplotlib() -> None:
    """Import matplotlib whatever MPLBACKEND says: a backend that it does not know ends the import.

    A backend that it does know stays the user's; nothing here uses one.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):  # not a backend of this matplotlib
            matplotlib.rcParams["backend"] = backend


def _shortened(label: str) -> str:
    """A line of a label, shown and not obeyed, and never so long that no room is left to draw."""
    plain = without_orders(label)
    return plain if len(plain) <= LONGEST_LABEL else f"{plain[: LONGEST_LABEL - 1]}…"


@contextmanager
def _style() -> Iterator[None]:
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context(), warnings.catch_warnings():
        for message in ("Glyph .* missing from", "constrained_layout not applied"):
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        rcdefaults()
        rcParams.update(STYLE)
        yield


def _save(figure: "Figure", kind: str, metadata: dict[str, None]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=metadata)
    return stream.getvalue()

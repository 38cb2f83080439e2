"""The map of vectors (t-SNE and PCA), distances within and between tasks, task × task heat map."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TypeAlias

from icl_vectors.report import drawing
from icl_vectors.report.drawing import BLUE, GROUND, INK, ORANGE, Drawing
from icl_vectors.report.section import present
from icl_vectors.report.statistics import Interval, mean_interval
from icl_vectors.runs.run import Point
from icl_vectors.runs.schema import Cluster, Histogram, Sources

DISTANCE = "cosine distance (1 − cosine)"
CURVES = (("own", "its own task", BLUE, "o-"), ("others", "other tasks", ORANGE, "s--"))
INSTRUCTION = "instruction"  # the source of hollow marks
AXES = {"x": "first", "y": "second"}
Group: TypeAlias = tuple[str, str]  # task, source
Placed: TypeAlias = tuple[Point, tuple[float, float]]


def figures(cluster: Cluster, points: Sequence[Point]) -> tuple[Drawing, ...]:
    """Those for which there is data: two maps, cosines of two sources, distances, silhouette."""
    return present(
        *(_map(cluster, points, method) for method in ("t-SNE", "PCA") if points),
        cosines_by_layer(cluster),
        distance_histogram(cluster),
        heat_map(cluster),
        silhouette_by_layer(cluster),
    )


def cosines_by_layer(cluster: Cluster) -> Drawing | None:
    """The cosine with its own task's θ and with those of others, at each block."""
    found = cluster.sources
    if found is None or len(found.layers) < 2:
        return None
    row = row_of(cluster, found)
    own, others = (mean_cosine(found, kind, row) for kind in ("own", "others"))
    return Drawing(
        name="sources_by_layer",
        title="θ after an instruction and θ after demonstrations, by block",
        caption=(
            f"Cosine between mean θ after the instruction and mean θ after demonstrations, "
            f"n = {cluster.per_task} vectors each; means and 95 % bootstrap intervals over "
            f"{len(found.own)} tasks. Where the two curves meet, θ after the instruction is no "
            "nearer to its own task than to others."
        ),
        alternative=f"Line chart. At block {found.layers[row]}: own task {own}, others {others}.",
        draw=lambda: _draw_sources(found),
    )


def row_of(cluster: Cluster, found: Sources) -> int:
    """The row of the map's block among those of the comparison."""
    return found.layers.index(cluster.layer) if cluster.layer in found.layers else 0


def mean_cosine(found: Sources, kind: str, row: int) -> Interval:
    values: dict[str, tuple[float, ...]] = getattr(found, kind)
    return mean_interval([of_task[row] for of_task in values.values()])


def _draw_sources(found: Sources) -> "drawing.Figure":
    figure, axes = drawing.new_axes(2.6, xlabel="block (0 = first)", ylabel="cosine")
    for kind, label, colour, style in CURVES:
        means = [mean_cosine(found, kind, row) for row in range(len(found.layers))]
        values = [one.value for one in means]
        axes.plot(found.layers, values, style, color=colour, markersize=3.5, label=label)
        low, high = ([getattr(one, end) for one in means] for end in ("low", "high"))
        if None not in low:
            axes.fill_between(found.layers, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.legend()
    drawing.whole_blocks(axes)
    return figure


def distance_histogram(cluster: Cluster) -> Drawing | None:
    """Cosine distances of pairs of θ within a task and between tasks."""
    if (histogram := cluster.histogram) is None:
        return None
    means = ""
    if cluster.within is not None and cluster.between is not None:
        means = f" Means: {cluster.within:.3f} within, {cluster.between:.3f} between."
    return Drawing(
        name="distances",
        title="Distances within and between tasks",
        caption=(
            f"Cosine distances between pairs of θ at block {cluster.layer}: of the same task "
            f"(n = {sum(histogram.within):.0f} pairs) and of different tasks "
            f"(n = {sum(histogram.between):.0f} pairs), each as a share of its own pairs.{means}"
        ),
        alternative=f"Histogram with two distributions.{means}",
        draw=lambda: _draw_histogram(histogram),
    )


def heat_map(cluster: Cluster) -> Drawing | None:
    """Mean distances task × task, similar tasks side by side."""
    if len(cluster.distances) < 2:
        return None
    nearest = ", ".join(f"{task}: {near}" for task, near in cluster.nearest.items())
    return Drawing(
        name="distances_of_tasks",
        title="Distances between tasks",
        caption=(
            f"Mean cosine distance between θ of two tasks at block {cluster.layer} "
            f"(n = {cluster.per_task} vectors a task), tasks ordered by similarity (average "
            "linkage). The diagonal is the mean distance within a task."
        ),
        alternative=f"Heat map. Nearest task of each: {nearest}.",
        draw=lambda: _draw_heat_map(cluster),
    )


def silhouette_by_layer(cluster: Cluster) -> Drawing | None:
    """The silhouette score at each block at which it was computed."""
    by_layer = cluster.silhouette_by_layer
    scores = {layer: score for layer, score in by_layer.items() if score is not None}
    if len(scores) < 2:
        return None
    best = max(scores, key=lambda layer: scores[layer])
    return Drawing(
        name="silhouette_by_layer",
        title="How well the tasks separate, by block",
        caption=(
            f"Silhouette score (cosine) of θ by task, n = {cluster.per_task} vectors a task; "
            "1 would be perfect clusters, 0 none."
        ),
        alternative=f"Line chart: highest at block {best} with {scores[best]:.2f}.",
        draw=lambda: _draw_silhouette(scores),
    )


def similarity_order(distances: Sequence[Sequence[float]]) -> list[int]:
    """Rows ordered so that similar ones are neighbours (average linkage, optimal leaf order)."""
    import numpy
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    square = numpy.asarray(distances, dtype=float)
    square = (square + square.T) / 2
    numpy.fill_diagonal(square, 0)
    tree = linkage(squareform(square), "average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]


def _map(cluster: Cluster, points: Sequence[Point], method: str) -> Drawing:
    tasks = list(dict.fromkeys(point.task for point in points))
    hollow = "; hollow: θ after the task's instruction" if cluster.sources else ""
    name = method.replace("-", "").lower()
    return Drawing(
        name=f"map_{name}",
        title=f"The map of vectors ({method})",
        caption=(
            f"Every θ at block {cluster.layer} in the plane of {method}, "
            f"n = {len(points)} vectors of {len(tasks)} tasks; colour and marker show the "
            f"category{hollow}, the name stands at the middle of its task's vectors. Positions "
            "have no unit. Silhouette score in the full space "
            f"{cluster.silhouette:.2f}."
        ),
        alternative=f"Scatter plot of {len(points)} vectors of {', '.join(tasks)}.",
        draw=lambda: _draw_map([(one, getattr(one, name)) for one in points], method),
    )


def _draw_map(placed: Sequence[Placed], method: str) -> "drawing.Figure":
    labels = {f"{axis}label": f"{method}, {n} axis (no unit)" for axis, n in AXES.items()}
    figure, axes = drawing.new_axes(5.2, **labels)
    categories = drawing.order_categories([point.category for point, _ in placed])
    for category in categories:
        colour, marker = drawing.category_style(category, categories)
        for hollow in (False, True):
            chosen = [
                place
                for point, place in placed
                if point.category == category and (point.source == INSTRUCTION) == hollow
            ]
            axes.plot(
                *zip(*chosen, strict=True) if chosen else ([], []),
                linestyle="none",
                marker=marker,
                color=colour,
                markerfacecolor="none" if hollow else colour,
                markersize=3.2,
                markeredgewidth=0.6 if hollow else 0,
                alpha=0.75,
                label=None if hollow else category,
            )
    if any(point.source == INSTRUCTION for point, _ in placed):
        axes.plot([], [], "o", color=INK, markerfacecolor="none", label="after the instruction")
    _label_tasks(axes, placed)
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.grid(False)
    figure.legend(loc="outside upper center", ncols=max(2, len(categories)), markerscale=1.3)
    return figure


def _label_tasks(axes: "drawing.Axes", placed: Sequence[Placed]) -> None:
    groups: dict[Group, list[tuple[float, float]]] = {}
    for point, place in placed:
        groups.setdefault((point.task, point.source), []).append(place)
    centres = {
        group: (median(x for x, _ in own), median(y for _, y in own))
        for group, own in groups.items()
    }
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    sizes = {group: 0.0165 * len(drawing.short(group[0])) * (right - left) for group in centres}
    box = {"facecolor": GROUND, "alpha": 0.75, "linewidth": 0, "pad": 0.8}
    for group, (x, y) in _apart(centres, sizes, 0.034 * (top - bottom)).items():
        x = min(max(x, left + sizes[group] / 2), right - sizes[group] / 2)
        axes.text(x, y, drawing.short(group[0]), fontsize=7, ha="center", va="center", bbox=box)


def _apart(
    centres: dict[Group, tuple[float, float]], widths: dict[Group, float], height: float
) -> dict[Group, tuple[float, float]]:
    """Labels from bottom to top, each lifted over those that it would cover."""
    placed: dict[Group, tuple[float, float]] = {}
    for group, (x, y) in sorted(centres.items(), key=lambda item: (item[1][1], item[0])):
        for other, (other_x, other_y) in sorted(placed.items(), key=lambda item: item[1][1]):
            beside = abs(x - other_x) > (widths[group] + widths[other]) / 2
            if not beside and abs(y - other_y) < height:
                y = other_y + height
        placed[group] = x, y
    return placed


def _draw_histogram(histogram: Histogram) -> "drawing.Figure":
    figure, axes = drawing.new_axes(2.6, xlabel=DISTANCE, ylabel="share of pairs (%)")
    for label, counts, colour in (
        ("same task", histogram.within, BLUE),
        ("different tasks", histogram.between, ORANGE),
    ):
        shares = [100 * count / (sum(counts) or 1) for count in counts]
        axes.stairs(shares, histogram.edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(shares, histogram.edges, color=colour, linewidth=1.5, label=label)
    axes.legend()
    return figure


def _draw_heat_map(cluster: Cluster) -> "drawing.Figure":
    order = similarity_order(cluster.distances)
    rows = [[cluster.distances[row][column] for column in order] for row in order]
    names = [drawing.short(cluster.tasks[row]) for row in order]
    figure, axes = drawing.new_axes(1.6 + 0.21 * len(names))
    mesh = axes.pcolormesh(rows, cmap="cividis", edgecolors="face", linewidth=0.3)
    middles = [place + 0.5 for place in range(len(names))]
    axes.set_xticks(middles, names, rotation=90, fontsize=7)
    axes.set_yticks(middles, names, fontsize=7)
    axes.invert_yaxis()
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.8, label=DISTANCE)
    bar.outline.set_edgecolor(INK)
    return figure


def _draw_silhouette(scores: Mapping[int, float]) -> "drawing.Figure":
    labels = {"xlabel": "block (0 = first)", "ylabel": "silhouette score (−1 to 1)"}
    figure, axes = drawing.new_axes(2.4, **labels)
    layers = sorted(scores)
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.plot(layers, [scores[layer] for layer in layers], "o-", color=BLUE, markersize=3.5)
    drawing.whole_blocks(axes)
    return figure

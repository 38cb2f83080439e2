"""θ after an instruction beside θ after demonstrations: cosines by block, nearest tasks."""

from collections.abc import Iterator

from icl_vectors.plain_text import in_one_line
from icl_vectors.report import drawing
from icl_vectors.report.drawing import BLUE, ORANGE, Drawing
from icl_vectors.report.statistics import Interval, mean_interval
from icl_vectors.report.table import Table, number, numbers, words
from icl_vectors.runs.schema import Cluster, Sources

CURVES = (
    ("own", "its own task", BLUE, "o-"),
    ("others", "other tasks", ORANGE, "s--"),
)


def sources_lines(cluster: Cluster) -> Iterator[str]:
    """The comparison in the terminal."""
    if (found := cluster.sources) is None:
        return
    row = _row(cluster, found)
    yield (
        f"θ after the instruction at block {found.layers[row]}: cosine to θ after demonstrations "
        f"of its own task {_mean(found, 'own', row)}, of other tasks {_mean(found, 'others', row)}"
    )
    hits = sum(task == near for task, near in found.nearest.items())
    yield f"nearest to its own task: {hits} of {len(found.nearest)}"
    for task, near in found.nearest.items():
        cosine = f"cosine {found.own[task][row]:.3f}"
        yield f"{in_one_line(task):<27} {cosine}, nearest {in_one_line(near)}"


def cosines_by_layer(cluster: Cluster) -> Drawing | None:
    """The cosine with its own task's θ and with those of others, at each block."""
    found = cluster.sources
    if found is None or len(found.layers) < 2:
        return None
    row = _row(cluster, found)
    own, others = (_mean(found, kind, row) for kind in ("own", "others"))
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
        draw=lambda: _draw(found),
    )


def sources_table(cluster: Cluster) -> Table | None:
    """Each task's cosines at the block of the map; None where only one source was read."""
    if (found := cluster.sources) is None:
        return None
    row = _row(cluster, found)
    return Table.of(
        "sources",
        "θ after an instruction",
        words("task") + numbers("cosine, own task", "cosine, other tasks") + words("nearest task"),
        (
            (task, *(number(kind[task][row], 3) for kind in (found.own, found.others)), near)
            for task, near in found.nearest.items()
        ),
        f"At block {found.layers[row]}: mean θ after the instruction compared with mean θ after "
        f"demonstrations, {cluster.per_task} vectors each.",
    )


def _row(cluster: Cluster, found: Sources) -> int:
    return found.layers.index(cluster.layer) if cluster.layer in found.layers else 0


def _mean(found: Sources, kind: str, row: int) -> Interval:
    values: dict[str, tuple[float, ...]] = getattr(found, kind)
    return mean_interval([of_task[row] for of_task in values.values()])


def _draw(found: Sources) -> "drawing.Figure":
    figure, axes = drawing.new_axes(2.6, xlabel="block (0 = first)", ylabel="cosine")
    for kind, label, colour, style in CURVES:
        means = [_mean(found, kind, row) for row in range(len(found.layers))]
        values = [one.value for one in means]
        axes.plot(found.layers, values, style, color=colour, markersize=3.5, label=label)
        low, high = ([getattr(one, end) for one in means] for end in ("low", "high"))
        if None not in low:
            axes.fill_between(found.layers, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.legend()
    drawing.whole_blocks(axes)
    return figure

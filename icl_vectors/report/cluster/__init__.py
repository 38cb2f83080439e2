"""The map of vectors in the report: do tasks form clusters, and which are near each other?"""

from collections.abc import Iterator, Mapping
from typing import Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.report import paper
from icl_vectors.report.cluster.maps import figures, mean_cosine, row_of
from icl_vectors.report.section import UNTESTED, Claim, Section, graded, present, verdict_of
from icl_vectors.report.table import Table, number, numbers, words
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import Cluster


def sections(run: Run) -> list[Section]:
    """Maps, distances and nearest tasks."""
    found = run.cluster
    claims = (one_cluster_a_task(found), similar_tasks_are_near(found))
    tables = present(nearest_table(found), sources_table(found)) if found else ()
    drawings = figures(found, run.points) if found else ()
    return [Section("clusters", "The map of vectors", claims, drawings, tables)]


def text(data: Mapping[str, Any]) -> str:
    """Silhouette, distances, and the nearest task of each task."""
    found = data["cluster"]
    lines = [
        f"silhouette {found['silhouette']:.2f} (cosine) at block {found['layer']}, "
        f"{found['per_task']} θ per task",
        f"mean cosine distance within a task {found['within']:.3f}, between {found['between']:.3f}",
    ]
    nearest = found["nearest"]
    for task, other in nearest.items():
        mutual = " (mutual)" if nearest[other] == task else ""
        lines.append(f"{in_one_line(task):<27} nearest {in_one_line(other)}{mutual}")
    if "sources" in found:
        lines += sources_lines(Cluster.model_validate(found))
    return "\n".join(lines)


def one_cluster_a_task(cluster: Cluster | None) -> Claim:
    """The silhouette score of many θ per task."""
    verdict, ours = UNTESTED, "no cluster experiment in this folder"
    if cluster is not None:
        score = cluster.silhouette
        verdict = verdict_of(score > 0.25, score > 0)
        ours = f"silhouette {score:.2f}"
        if cluster.within is not None and cluster.between is not None:
            ours += f"; distance {cluster.within:.2f} within, {cluster.between:.2f} between tasks"
    return Claim(
        "one cluster a task",
        "Vectors θ of the same task, from different demonstrations, form one cluster.",
        "shown as a t-SNE map; no number is given",
        ours,
        verdict,
        "Mean silhouette score of the vectors by task, cosine distance, in the full space (not on "
        "the map): > 0.25 holds, > 0 weakly.",
        None if cluster is None else cluster.silhouette,
    )


def similar_tasks_are_near(cluster: Cluster | None) -> Claim:
    """How many natural pairs of tasks are each other's nearest."""
    verdict, ours, value = UNTESTED, "no cluster experiment in this folder", None
    if cluster is not None:
        nearest = cluster.nearest
        pairs = [pair for pair in paper.NATURAL_PAIRS if set(pair) <= set(nearest)]
        ours = "none of the pairs was run"
        if pairs and len(nearest) > 2:
            mutual = [(a, b) for a, b in pairs if nearest[a] == b and nearest[b] == a]
            value = len(mutual) / len(pairs)
            verdict = graded(value, 0.75, 0.5)
            ours = f"{len(mutual)} of {len(pairs)} pairs"
        elif pairs:
            ours = "only two tasks were run: they are nearest by necessity"
    listed = ", ".join(f"{a}–{b}" for a, b in paper.NATURAL_PAIRS)
    return Claim(
        "similar tasks are near",
        "Similar tasks, such as fr_en and es_en, lie near each other.",
        "seen on the t-SNE map; no number is given",
        ours,
        verdict,
        f"Of the pairs {listed}, as far as both tasks were run: the share in which each is the "
        "other's nearest task (cosine distance of mean θ): ≥ 0.75 holds, ≥ 0.50 weakly. Not "
        "tested with two tasks or fewer.",
        value,
    )


def nearest_table(cluster: Cluster) -> Table | None:
    """The nearest task of each task; None where it is not known."""
    nearest = cluster.nearest
    natural = {a: b for pair in paper.NATURAL_PAIRS for a, b in (pair, pair[::-1])}
    if not nearest:
        return None
    return Table.of(
        "clusters",
        "Nearest tasks",
        words("task", "nearest task", "mutual", "expected beside it"),
        (
            (task, near, "yes" if nearest.get(near) == task else "no", natural.get(task, "–"))
            for task, near in nearest.items()
        ),
        f"At block {cluster.layer}, {cluster.per_task} vectors a task; silhouette "
        f"{cluster.silhouette:.2f}. Nearest by cosine distance of mean θ.",
    )


def sources_lines(cluster: Cluster) -> Iterator[str]:
    """The comparison in the terminal."""
    if (found := cluster.sources) is None:
        return
    row = row_of(cluster, found)
    own, others = (mean_cosine(found, kind, row) for kind in ("own", "others"))
    yield (
        f"θ after the instruction at block {found.layers[row]}: cosine to θ after demonstrations "
        f"of its own task {own}, of other tasks {others}"
    )
    hits = sum(task == near for task, near in found.nearest.items())
    yield f"nearest to its own task: {hits} of {len(found.nearest)}"
    for task, near in found.nearest.items():
        cosine = f"cosine {found.own[task][row]:.3f}"
        yield f"{in_one_line(task):<27} {cosine}, nearest {in_one_line(near)}"


def sources_table(cluster: Cluster) -> Table | None:
    """Each task's cosines at the block of the map; None where only one source was read."""
    if (found := cluster.sources) is None:
        return None
    row = row_of(cluster, found)
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

"""Where points lie: cosine distances, silhouette, nearest tasks, t-SNE and PCA (scikit-learn)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from icl_vectors.scoring import stable

BINS = 40
PERPLEXITY = 30.0


def silhouette(points: Float[ndarray, "point hidden"], labels: Int[ndarray, " point"]) -> float:
    """The mean silhouette coefficient under cosine distance, between −1 and 1 (Rousseeuw 1987)."""
    from sklearn.metrics import silhouette_score

    return stable(silhouette_score(points, labels, metric="cosine"))


def describe_clusters(
    points: Float[ndarray, "point hidden"], labels: Int[ndarray, " point"], names: Sequence[str]
) -> dict[str, Any]:
    """Silhouette, distances within and between tasks, and each task's nearest task.

    `distances` holds mean cosine distances between the points of two tasks (within one, without
    a point's distance to itself); `nearest` goes by the distance between the tasks' means.
    """
    distances = cosine_distances(points)  # (point, point)
    same = labels[:, None] == labels[None]
    pairs = np.triu(np.ones_like(same), 1).astype(bool)
    within, between = distances[pairs & same], distances[pairs & ~same]
    edges = np.linspace(0.0, max(float(distances.max()), 1e-9), BINS + 1)
    tasks = range(len(names))

    def mean_distance(one: int, other: int) -> float:
        block = distances[labels == one][:, labels == other]
        total = block.size - (len(block) if one == other else 0)
        return stable(block.sum() / max(total, 1))

    centres = np.stack([points[labels == task].mean(0) for task in tasks])
    apart = cosine_distances(centres)
    np.fill_diagonal(apart, np.inf)
    return {
        "silhouette": silhouette(points, labels),
        "within": stable(within.mean()) if len(within) else 0.0,
        "between": stable(between.mean()),
        "nearest": {name: names[int(apart[i].argmin())] for i, name in enumerate(names)},
        "distances": [[mean_distance(one, other) for other in tasks] for one in tasks],
        "histogram": {
            "edges": [stable(edge) for edge in edges],
            "within": np.histogram(within, edges)[0].tolist(),
            "between": np.histogram(between, edges)[0].tolist(),
        },
    }


def compare_sources(
    demonstrated: Float[ndarray, "task layer hidden"],
    instructed: Float[ndarray, "task layer hidden"],
    names: Sequence[str],
    layers: Sequence[int],
    at: int,
) -> dict[str, Any]:
    """Cosines between mean θ after an instruction and after demonstrations, at each layer.

    `own` is between the two θ of a task, `others` the mean over the θ of other tasks, which is
    what two θ of one model have in common anyway. `nearest` names, of each task's θ after the
    instruction at the row `at`, the task whose θ after demonstrations is nearest.
    """
    one, other = (
        part / np.linalg.norm(part, axis=-1, keepdims=True)
        for part in (instructed.astype(np.float64), demonstrated.astype(np.float64))
    )
    cosines = np.einsum("ilh,jlh->lij", one, other)  # (layer, task, task)
    count = len(names)
    own = cosines.diagonal(axis1=1, axis2=2)  # (layer, task)
    others = (cosines.sum(2) - own) / (count - 1)
    return {
        "layers": list(layers),
        "own": {name: [stable(value) for value in own[:, i]] for i, name in enumerate(names)},
        "others": {name: [stable(value) for value in others[:, i]] for i, name in enumerate(names)},
        "nearest": {name: names[int(cosines[at, i].argmax())] for i, name in enumerate(names)},
    }


def cosine_distances(points: Float[ndarray, "point hidden"]) -> Float[ndarray, "point point"]:
    """1 − cosine similarity of all pairs, 0 on the diagonal."""
    scaled = points.astype(np.float64)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    apart = np.clip(1.0 - scaled @ scaled.T, 0.0, 2.0)
    np.fill_diagonal(apart, 0.0)
    return apart


def embed(points: Float[ndarray, "point hidden"], seed: int) -> dict[str, Any]:
    """Two-dimensional t-SNE (cosine, `random_state` the seed) and PCA of the points."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, metric="cosine", init="random", random_state=seed)
    return {
        "tsne": tsne.fit_transform(points.astype(np.float32)),  # (point, 2)
        "pca": PCA(2, random_state=seed).fit_transform(points),  # (point, 2)
    }

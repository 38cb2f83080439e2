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
    count = len(names)
    table = np.empty((count, count))
    for row in range(count):
        for column in range(count):
            block = distances[labels == row][:, labels == column]
            total = block.size - (len(block) if row == column else 0)
            table[row, column] = block.sum() / max(total, 1)
    centres = np.stack([points[labels == task].mean(0) for task in range(count)])
    apart = cosine_distances(centres)
    np.fill_diagonal(apart, np.inf)
    return {
        "silhouette": silhouette(points, labels),
        "within": stable(within.mean()) if len(within) else 0.0,
        "between": stable(between.mean()),
        "nearest": {name: names[int(apart[i].argmin())] for i, name in enumerate(names)},
        "distances": [[stable(value) for value in row] for row in table],
        "histogram": {
            "edges": [stable(edge) for edge in edges],
            "within": np.histogram(within, edges)[0].tolist(),
            "between": np.histogram(between, edges)[0].tolist(),
        },
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

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cosine, pdist
from sklearn.metrics import silhouette_score

from icl_vectors.experiments.geometry import cosine_distances, describe_clusters, embed, silhouette

NAMES = ["left", "right", "up"]
PER_TASK = 8


@pytest.fixture
def points() -> Any:
    """Tight clusters: `left` and `right` in a similar direction, `up` at a right angle."""
    draw = np.random.default_rng(3)
    centres = np.zeros((3, 16))
    centres[0, 0] = centres[1, 0] = centres[2, 2] = 10.0
    centres[1, 1] = 6.0
    noise = 0.05 * draw.standard_normal((3, PER_TASK, 16))
    return (centres[:, None] + noise).reshape(-1, 16).astype(np.float32)  # (point, hidden)


@pytest.fixture
def labels() -> Any:
    return np.repeat(np.arange(3), PER_TASK)


@pytest.fixture
def found(points: Any, labels: Any) -> dict[str, Any]:
    return describe_clusters(points, labels, NAMES)


def test_silhouettes_of_clusters_and_of_no_order(labels: Any, found: dict[str, Any]) -> None:
    assert 0.99 < found["silhouette"] <= 1.0
    assert found["within"] < 0.001 < 0.1 < found["between"]
    assert found["nearest"]["left"] == "right" and found["nearest"]["right"] == "left"
    assert found["nearest"]["up"] in ("left", "right")
    points = np.random.default_rng(4).standard_normal((3 * PER_TASK, 64))
    none = describe_clusters(points, labels, NAMES)
    assert abs(none["silhouette"]) < 0.05
    assert none["within"] == pytest.approx(none["between"], abs=0.05)


def test_the_silhouette_is_scikit_learn_s_and_its_definition(points: Any, labels: Any) -> None:
    distances, values = cosine_distances(points), []
    for index, label in enumerate(labels):
        means = [
            distances[index][labels == other].sum() / (PER_TASK - (other == label))
            for other in range(3)
        ]
        nearest = min(mean for other, mean in enumerate(means) if other != label)
        values.append((nearest - means[label]) / max(nearest, means[label]))
    assert silhouette(points, labels) == pytest.approx(np.mean(values), rel=1e-3)
    by_sklearn = silhouette_score(points, labels, metric="cosine")
    assert silhouette(points, labels) == pytest.approx(float(f"{by_sklearn:.4g}"))


def test_cosine_distances_are_those_of_scipy(points: Any) -> None:
    distances = cosine_distances(points)
    pairs = combinations(range(len(points)), 2)
    expected = [cosine(points[i].astype(float), points[j].astype(float)) for i, j in pairs]
    assert distances[np.triu_indices(len(points), 1)] == pytest.approx(expected, abs=1e-9)
    assert (distances == distances.T).all() and (distances.diagonal() == 0).all()
    opposite = cosine_distances(np.array([[1.0, 0.0], [-3.0, 0.0], [0.0, 2.0]]))
    assert opposite.tolist() == [[0.0, 2.0, 1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 0.0]]


def test_distances_are_means_over_pairs(points: Any, labels: Any, found: dict[str, Any]) -> None:
    table = np.array(found["distances"])
    assert table == pytest.approx(table.T)
    for task in range(3):
        own = pdist(points[labels == task].astype(float), "cosine").mean()
        assert table[task, task] == pytest.approx(own, rel=1e-3)
        assert all(table[task, task] < table[task, other] for other in range(3) if other != task)
    assert found["within"] == pytest.approx(table.diagonal().mean(), rel=1e-3)
    assert found["between"] == pytest.approx(table[np.triu_indices(3, 1)].mean(), rel=1e-3)
    order = np.random.default_rng(5).permutation(len(points))
    shuffled = describe_clusters(points[order], labels[order], NAMES)
    assert shuffled["nearest"] == found["nearest"]
    assert shuffled["silhouette"] == pytest.approx(found["silhouette"], abs=1e-6)
    assert np.array(shuffled["distances"]) == pytest.approx(np.array(found["distances"]))


def test_the_histograms_count_every_pair_once(found: dict[str, Any]) -> None:
    histogram, count = found["histogram"], 3 * PER_TASK
    within = 3 * PER_TASK * (PER_TASK - 1) // 2
    assert sum(histogram["within"]) == within
    assert sum(histogram["between"]) == count * (count - 1) // 2 - within
    assert len(histogram["edges"]) == len(histogram["within"]) + 1
    assert histogram["edges"] == sorted(histogram["edges"])
    assert histogram["edges"][0] == 0.0


def test_maps_keep_clusters_apart_and_go_by_the_seed(points: Any, labels: Any) -> None:
    maps, again = embed(points, 41), embed(points, 41)
    for kind in ("tsne", "pca"):
        assert maps[kind].shape == (3 * PER_TASK, 2)
        assert np.isfinite(maps[kind]).all()
        assert np.array_equal(maps[kind], again[kind])
    assert silhouette_score(maps["pca"], labels) > 0.9
    assert not np.array_equal(maps["tsne"], embed(points, 42)["tsne"])
    assert embed(points[:4], 1)["tsne"].shape == (4, 2), "a handful of points"

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import silhouette_score
from torch import Tensor
from torch.testing import assert_close

from icl_vectors.models.load import Model
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.runs.folder import read_json
from icl_vectors.tasks.task import Task, load_task
from tests.experiments.conftest import Finished, run
from tests.listener import Listener
from tests.tiny import HIDDEN, N_LAYERS, load_plain
from tests.twins import plain
from tests.twins.prompts import as_twin, dummy_ids

NAMES = ["to_upper", "list_first", "next_letter"]


def cluster(model: Model, output: Path, **options: Any) -> dict[str, Any]:
    return dict(run("cluster", model, output, **options).data["cluster"])


def thetas(folder: Path) -> Tensor:
    """(task, prompt, layer, hidden)"""
    files = [folder / "thetas" / f"{name}.seed41.safetensors" for name in NAMES]
    return torch.stack([load_file(file)["thetas"] for file in files])


@pytest.fixture(scope="module")
def folder(finished: Finished) -> Path:
    return finished("cluster")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return dict(read_json(folder / "results.json")["cluster"])


def test_results_are_those_of_the_contract(
    llama: Model, folder: Path, found: dict[str, Any]
) -> None:
    results = read_json(folder / "results.json")
    about = [results[key] for key in ("model", "dtype", "n_layers")]
    assert about == [llama.reference, "float32", N_LAYERS], "also without a sweep"
    assert (found["layer"], found["per_task"], found["tasks"]) == (2, 5, NAMES)
    assert set(found["nearest"]) == set(NAMES)
    assert all(task != other and other in NAMES for task, other in found["nearest"].items())
    assert -1 <= found["silhouette"] <= 1
    assert 0 <= found["within"] and 0 <= found["between"] <= 2
    assert "silhouette_by_layer" not in found
    histogram = found["histogram"]
    assert sum(histogram["within"]) + sum(histogram["between"]) == 15 * 14 // 2


def test_the_points_are_plain_pytorch_s_theta(
    llama: Model, llama_folder: Path, folder: Path
) -> None:
    model, points = load_plain(llama_folder), thetas(folder)
    assert points.shape == (3, 5, 1, HIDDEN)
    for row, name in enumerate(NAMES):
        prompts = sample_prompts(load_task(name), dev=0, test=5, shots=3, dummies=2)[1]
        assert len({prompt.demonstrations for prompt in prompts}) == 5
        for column, prompt in enumerate(prompts):
            expected = plain.theta(model, dummy_ids(llama.tokenizer, as_twin(prompt)))[2]
            assert_close(points[row, column, 0], expected, rtol=1e-5, atol=1e-5)


def test_every_layer_has_the_silhouette_of_scikit_learn_and_one_alone_is_the_same(
    llama: Model, folder: Path, found: dict[str, Any], tmp_path: Path
) -> None:
    every = cluster(llama, tmp_path, by_layer=True)
    points, by_layer = thetas(tmp_path), every["silhouette_by_layer"]
    labels = np.repeat(np.arange(3), 5)
    assert points.shape == (3, 5, N_LAYERS, HIDDEN)
    assert list(by_layer) == [str(layer) for layer in range(N_LAYERS)]
    for layer in range(N_LAYERS):
        at = points[:, :, layer].reshape(15, HIDDEN).numpy()
        expected = silhouette_score(at, labels, metric="cosine")
        assert by_layer[str(layer)] == pytest.approx(expected, rel=6e-4)
    assert every["silhouette"] == by_layer["2"]
    assert len(set(by_layer.values())) == N_LAYERS
    assert_close(thetas(folder)[:, :, 0], points[:, :, 2])
    assert found["nearest"] == every["nearest"]
    assert found["silhouette"] == pytest.approx(every["silhouette"], rel=1e-3)


def test_points_stand_in_a_table_of_one_row_a_theta(llama: Model, tmp_path: Path) -> None:
    mine = Task.from_pairs("mine", {f"w{i}": f"v{i}" for i in range(9)})
    cluster(llama, tmp_path, tasks=["to_upper", "en_fr", mine], per_task=4)
    with (tmp_path / "cluster.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["task", "category", "index", "tsne_x", "tsne_y", "pca_x", "pca_y"]
    of = {"to_upper": "algorithmic", "en_fr": "translation", "mine": "user"}
    told = [(row["task"], row["category"], row["index"]) for row in rows]
    assert told == [(task, of[task], str(index)) for task in of for index in range(4)]
    places = [[float(row[key]) for key in row if key.endswith(("_x", "_y"))] for row in rows]
    assert np.isfinite(places).all()
    assert len({tuple(place) for place in places}) > 4


def test_the_same_seed_gives_the_same_table_and_another_one_another(
    llama: Model, folder: Path, found: dict[str, Any], tmp_path: Path
) -> None:
    same, other = (cluster(llama, tmp_path / str(seed), seed=seed) for seed in (41, 7))
    tables = [(at / "cluster.csv").read_bytes() for at in (folder, tmp_path / "41", tmp_path / "7")]
    assert tables[0] == tables[1] != tables[2]
    assert found == same != other


def test_thetas_that_were_lost_are_made_anew(llama: Model, tmp_path: Path) -> None:
    found = cluster(llama, tmp_path, layer="2")
    (tmp_path / "thetas" / "list_first.seed41.safetensors").unlink()
    listener = Listener()
    assert cluster(llama, tmp_path, observer=listener, layer=-2) == found
    assert [line.split(":")[0] for line in listener.lines] == ["list_first"]


def test_best_is_the_highest_mean_on_dev_of_a_sweep(llama: Model, tmp_path: Path) -> None:
    listener, options = Listener(), {"layer": "best", "test": 3, "dev": 4}
    found = cluster(llama, tmp_path, observer=listener, **options)
    assert any(text.startswith(f"Sweeping in {tmp_path}") for text in listener.logged)
    entries = read_json(tmp_path / "results.json")["tasks"]
    assert [entry["task"] for entry in entries] == NAMES
    curve = np.mean([entry["dev_accuracy_by_layer"] for entry in entries], axis=0)
    assert found["layer"] == int(curve.argmax())

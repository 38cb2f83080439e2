import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import silhouette_score
from torch import Tensor
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.models.load import Model
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.tasks.task import Task, load_task
from tests.experiments.test_sweep import as_twin
from tests.listener import Listener, never
from tests.tiny import HIDDEN, N_LAYERS, load_plain
from tests.twins import plain
from tests.twins.prompts import dummy_ids

NAMES = ["to_upper", "list_first", "next_letter"]
SMALL: dict[str, Any] = {"tasks": ",".join(NAMES), "per_task": 5, "shots": 3, "layer": 2}


def cluster(model: Model, output: Path, **options: Any) -> dict[str, Any]:
    return dict(icl.cluster(model, output=output, **{**SMALL, **options}).data["cluster"])


def thetas(folder: Path) -> Tensor:
    """(task, prompt, layer, hidden)"""
    files = [folder / "thetas" / f"{name}.seed41.safetensors" for name in NAMES]
    return torch.stack([load_file(file)["thetas"] for file in files])


def test_results_are_those_of_the_contract(llama: Model, tmp_path: Path) -> None:
    found = cluster(llama, tmp_path)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["cluster"] == found
    about = [results[key] for key in ("model", "dtype", "n_layers")]
    assert about == [llama.reference, "float32", N_LAYERS], "also without a sweep"
    assert (found["layer"], found["per_task"], found["tasks"]) == (2, 5, NAMES)
    assert set(found["nearest"]) == set(NAMES)
    assert all(task != other and other in NAMES for task, other in found["nearest"].items())
    assert -1 <= found["silhouette"] <= 1
    assert 0 <= found["within"] and 0 <= found["between"] <= 2
    assert "silhouette_by_layer" not in found
    pairs = 15 * 14 // 2
    histogram = found["histogram"]
    assert sum(histogram["within"]) + sum(histogram["between"]) == pairs


def test_the_points_are_the_thetas_of_plain_pytorch(
    llama: Model, llama_folder: Path, tmp_path: Path
) -> None:
    cluster(llama, tmp_path)
    model, found = load_plain(llama_folder), thetas(tmp_path)
    assert found.shape == (3, 5, 1, HIDDEN)
    for row, name in enumerate(NAMES):
        prompts = sample_prompts(load_task(name), dev=0, test=5, shots=3, dummies=2)[1]
        assert len({prompt.demonstrations for prompt in prompts}) == 5
        for column, prompt in enumerate(prompts):
            expected = plain.theta(model, dummy_ids(llama.tokenizer, as_twin(prompt)))[2]
            assert_close(found[row, column, 0], expected, rtol=1e-5, atol=1e-5)


def test_the_silhouette_is_that_of_scikit_learn_at_every_layer(
    llama: Model, tmp_path: Path
) -> None:
    found = cluster(llama, tmp_path, by_layer=True)
    points = thetas(tmp_path)
    labels = np.repeat(np.arange(3), 5)
    assert points.shape == (3, 5, N_LAYERS, HIDDEN)
    assert list(found["silhouette_by_layer"]) == [str(layer) for layer in range(N_LAYERS)]
    for layer in range(N_LAYERS):
        at = points[:, :, layer].reshape(15, HIDDEN).numpy()
        expected = silhouette_score(at, labels, metric="cosine")
        assert found["silhouette_by_layer"][str(layer)] == pytest.approx(expected, rel=6e-4)
    assert found["silhouette"] == found["silhouette_by_layer"]["2"]
    assert len(set(found["silhouette_by_layer"].values())) == N_LAYERS


def test_one_layer_alone_gives_what_all_layers_give(llama: Model, tmp_path: Path) -> None:
    one = cluster(llama, tmp_path / "one")
    every = cluster(llama, tmp_path / "every", by_layer=True)
    assert_close(thetas(tmp_path / "one")[:, :, 0], thetas(tmp_path / "every")[:, :, 2])
    assert one["nearest"] == every["nearest"]
    assert one["silhouette"] == pytest.approx(every["silhouette"], rel=1e-3)


def test_a_layer_may_be_text_or_count_from_the_end(llama: Model, tmp_path: Path) -> None:
    assert cluster(llama, tmp_path / "end", layer=-2)["layer"] == 2
    assert cluster(llama, tmp_path / "text", layer="2")["layer"] == 2


def test_points_stand_in_a_table_of_one_row_a_theta(llama: Model, tmp_path: Path) -> None:
    mine = Task.from_pairs("mine", {f"w{i}": f"v{i}" for i in range(9)})
    cluster(llama, tmp_path, tasks=["to_upper", "en_fr", mine], per_task=4)
    with (tmp_path / "cluster.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["task", "category", "index", "tsne_x", "tsne_y", "pca_x", "pca_y"]
    assert [(row["task"], row["category"], row["index"]) for row in rows] == [
        (task, category, str(index))
        for task, category in (
            ("to_upper", "algorithmic"),
            ("en_fr", "translation"),
            ("mine", "user"),
        )
        for index in range(4)
    ]
    places = [[float(row[key]) for key in row if key.endswith(("_x", "_y"))] for row in rows]
    assert np.isfinite(places).all()
    assert len({tuple(place) for place in places}) > 4


def test_the_same_seed_gives_the_same_table_and_another_one_another(
    llama: Model, tmp_path: Path
) -> None:
    found = [cluster(llama, tmp_path / name) for name in ("one", "two")]
    other = cluster(llama, tmp_path / "other", seed=7)
    tables = [(tmp_path / name / "cluster.csv").read_bytes() for name in ("one", "two", "other")]
    assert tables[0] == tables[1] != tables[2]
    assert found[0] == found[1] != other


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_batch_size_changes_no_theta(llama: Model, tmp_path: Path, batch_size: int) -> None:
    for name, size in (("auto", None), ("chosen", batch_size)):
        cluster(llama, tmp_path / name, batch_size=size)
    one, other = (thetas(tmp_path / name) for name in ("auto", "chosen"))
    assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_an_interrupted_run_goes_on_and_runs_no_finished_task_again(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = cluster(llama, tmp_path / "unbroken")
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        cluster(llama, broken, observer=Listener(stop_after=1))
    calls = []

    def counted(*given: Any) -> Tensor:
        calls.append(given)
        return run_many_thetas(*given)

    monkeypatch.setattr("icl_vectors.graph.experiments.run_many_thetas", counted)
    listener = Listener()
    assert cluster(llama, broken, observer=listener) == unbroken
    assert len(calls) == len(listener.lines) == 2
    tables = [(folder / "cluster.csv").read_bytes() for folder in (tmp_path / "unbroken", broken)]
    assert tables[0] == tables[1]
    assert cluster(llama, broken) == unbroken
    assert len(calls) == 2


def test_thetas_that_were_lost_are_made_anew(llama: Model, tmp_path: Path) -> None:
    found = cluster(llama, tmp_path)
    (tmp_path / "thetas" / "list_first.seed41.safetensors").unlink()
    listener = Listener()
    assert cluster(llama, tmp_path, observer=listener) == found
    assert [line.split(":")[0] for line in listener.lines] == ["list_first"]


def test_best_is_the_highest_mean_on_dev_of_a_sweep_that_is_run_where_missing(
    llama: Model, tmp_path: Path
) -> None:
    listener, options = Listener(), {"layer": "best", "test": 3, "dev": 4}
    found = cluster(llama, tmp_path, observer=listener, **options)
    assert any(text.startswith(f"Sweeping in {tmp_path}") for text in listener.notices)
    entries = json.loads((tmp_path / "results.json").read_text("utf-8"))["tasks"]
    assert [entry["task"] for entry in entries] == NAMES
    curve = np.mean([entry["dev_accuracy_by_layer"] for entry in entries], axis=0)
    assert found["layer"] == int(curve.argmax())


def test_the_users_mistakes_are_told_before_anything_is_run(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    monkeypatch.setattr("icl_vectors.graph.experiments.run_many_thetas", never)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"layer": N_LAYERS}, "within 0 to 3 (the model has 4 blocks"),
        ({"layer": -5}, "within 0 to 3"),
        ({"layer": "first"}, "--layer 'first': expected best, or a whole number."),
        ({"tasks": "to_upper"}, "cluster: expected two tasks or more, found one."),
        ({"tasks": "to_uper,to_lower"}, "Did you mean to_upper"),
        ({"per_task": 0}, "--per-task 0: expected 2 or more."),
        ({"per_task": 1}, "--per-task 1: expected 2 or more."),
        ({"dummies": 0}, "--dummies 0: expected 1 or more."),
        ({"shots": 30}, "to_upper has 26"),
        ({"template": "{input}"}, "expected {output} exactly once"),
    ]
    for options, message in wrong:
        with pytest.raises(IclVectorsError) as raised:
            cluster(llama, tmp_path / "run", **options)
        assert message in str(raised.value)
        assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused(llama: Model, tmp_path: Path) -> None:
    cluster(llama, tmp_path)
    for options, named in (
        ({"layer": 1}, "layer: 2 → 1"),
        ({"per_task": 6}, "per_task: 5 → 6"),
        ({"by_layer": True}, "by_layer: False → True"),
    ):
        with pytest.raises(IclVectorsError) as raised:
            cluster(llama, tmp_path, **options)
        assert named in str(raised.value)


def test_nan_stops_the_run_and_nothing_is_kept_of_that_task(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> Tensor:
        return run_many_thetas(*given).fill_(torch.nan)

    monkeypatch.setattr("icl_vectors.graph.experiments.run_many_thetas", broken)
    with pytest.raises(RunError, match="to_upper: states hold NaN or infinity in float32 on cpu"):
        cluster(llama, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))

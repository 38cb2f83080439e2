from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.engine.config import Config
from icl_vectors.engine.experiment import Surroundings
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.from_sweep import best_layer_of_mean, swept_entries
from icl_vectors.graph.task import run_task
from icl_vectors.runs.folder import read_json
from tests.listener import Listener, never
from tests.tiny import save_tiny

TASKS = "to_upper,list_first"


def entries(
    model: icl.Model, output: Path, names: str = TASKS, **options: Any
) -> dict[str, dict[str, Any]]:
    at = Surroundings(output, options.pop("observer", Listener()), {})
    asked = Config.make(**{"test": 3, "dev": 4, **options})
    return swept_entries(model, asked, [icl.load_task(name) for name in names.split(",")], at)


def curves(*rows: list[float | None]) -> dict[str, dict[str, Any]]:
    return {str(number): {"dev_accuracy_by_layer": row} for number, row in enumerate(rows)}


def test_without_a_sweep_one_is_run_and_said(llama: icl.Model, tmp_path: Path) -> None:
    listener = Listener()
    found = entries(llama, tmp_path, observer=listener)
    assert listener.logged[0] == f"Sweeping in {tmp_path} first, to choose the layer on dev."
    results = read_json(tmp_path / "results.json")
    assert list(found.values()) == results["tasks"]
    assert (results["tasks"][0]["n_test"], results["tasks"][0]["n_dev"]) == (3, 4)


def test_a_finished_sweep_is_taken(
    llama: icl.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = icl.sweep(llama, f"{TASKS},to_lower", output=tmp_path, test=5, dev=2, shots=2)
    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    listener = Listener()
    found = entries(llama, tmp_path, observer=listener)
    assert list(found.values()) == swept.data["tasks"][:2]
    assert listener.logged == []


def test_a_broken_sweep_goes_on(
    llama: icl.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = entries(llama, tmp_path / "unbroken")
    calls = []

    def interrupted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) in (1, 3):
            raise KeyboardInterrupt
        return run_task(*given)

    monkeypatch.setattr("icl_vectors.graph.task.run_task", interrupted)
    for _ in range(2):  # in the first task, and again in the second
        with pytest.raises(KeyboardInterrupt):
            entries(llama, tmp_path / "broken")
    assert entries(llama, tmp_path / "broken") == unbroken
    assert len(calls) == 4


def test_a_folder_of_another_experiment_is_swept_too(llama: icl.Model, tmp_path: Path) -> None:
    icl.cluster(llama, TASKS, output=tmp_path, layer=1, per_task=3)
    assert list(entries(llama, tmp_path)) == TASKS.split(",")
    assert {"tasks", "cluster"} <= set(read_json(tmp_path / "results.json"))


def test_a_sweep_without_one_of_the_tasks_is_refused(llama: icl.Model, tmp_path: Path) -> None:
    icl.sweep(llama, "to_upper", output=tmp_path, test=3, dev=4)
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(IclVectorsError, match="tasks: list_first not set → "):
        entries(llama, tmp_path)
    with pytest.raises(IclVectorsError, match=r"seeds: \[41\] → \[7\]"):
        entries(llama, tmp_path, "to_upper", seed=7)
    assert (tmp_path / "results.json").read_bytes() == before


def test_a_run_in_another_dtype_is_refused(
    llama: icl.Model, llama_folder: Path, tmp_path: Path
) -> None:
    entries(llama, tmp_path / "run")
    other = icl.load_model(str(llama_folder), dtype="bfloat16")
    with pytest.raises(IclVectorsError, match="in float32, found .* in bfloat16; choose another"):
        entries(other, tmp_path / "run")


def test_a_task_that_the_sweep_cannot_run_is_named(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", joins="→P")
    with pytest.raises(IclVectorsError, match="its sweep could not run country_capital"):
        entries(icl.load_model(str(folder)), tmp_path / "run", "list_first,country_capital")


def test_the_best_layer_is_that_of_the_mean_curve_and_the_lowest_of_equals() -> None:
    assert best_layer_of_mean(curves([0.1, 0.9, 0.2], [0.8, 0.2, 0.9])) == 1
    assert best_layer_of_mean(curves([0.0, 0.5, 0.5])) == 1
    assert best_layer_of_mean(curves([0.0, 0.0])) == 0
    assert best_layer_of_mean(curves([None, 0.1, None, 0.3])) == 3
    assert best_layer_of_mean(curves([None, 0.0, 0.0])) == 1

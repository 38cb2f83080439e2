import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.experiments.cluster import cluster
from icl_vectors.experiments.conflict import conflict
from icl_vectors.experiments.vocabulary import vocabulary
from icl_vectors.models.load import Model
from icl_vectors.observer import Observer
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from icl_vectors.tasks.task import load_task

TASKS = ["to_upper", "next_letter", "list_first"]
COUNTS: dict[str, Any] = {"dev": 6, "test": 5}
PAIRS = "next_letter:to_upper"
CAPITALS = "country_capital"
SHARING = ("Paris or Rome", "Paris or Lima", "Cairo")  # two begin with the same token


def everything(model: Model, folder: Path) -> dict[str, Any]:
    """Every experiment in one folder; what results.json holds."""
    icl.sweep(model, TASKS, output=folder, **COUNTS)
    cluster(model, TASKS, output=folder, per_task=4, layer=2, **COUNTS)
    conflict(model, PAIRS, output=folder, **COUNTS)
    vocabulary(model, TASKS, output=folder, **COUNTS)
    return read_json(folder / "results.json")


@pytest.fixture(scope="module")
def local(llama: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    everything(llama, folder)
    return folder


def test_the_server_has_never_heard_of_this_package(environment: Path) -> None:
    asked = [str(environment / "bin" / "python"), "-c", "import icl_vectors"]
    told = subprocess.run(asked, capture_output=True, text=True, cwd="/")
    assert "ModuleNotFoundError: No module named 'icl_vectors'" in told.stderr


def test_every_experiment_gives_what_it_gives_here(
    remote_llama: Model, local: Path, tmp_path: Path, trust: str
) -> None:
    there, here = everything(remote_llama, tmp_path), read_json(local / "results.json")
    assert there["tasks"] == here["tasks"]
    assert there["conflict"] == here["conflict"]
    assert read_lines(tmp_path / "samples.jsonl") == read_lines(local / "samples.jsonl")
    for of_there, of_here in zip(there["vocabulary"], here["vocabulary"], strict=True):
        assert [t["token"] for t in of_there["tokens"]] == [t["token"] for t in of_here["tokens"]]
    assert there["cluster"]["nearest"] == here["cluster"]["nearest"]
    assert there["cluster"]["silhouette"] == pytest.approx(here["cluster"]["silhouette"], abs=1e-5)
    for task in TASKS:
        name = f"vectors/{task}.seed41.safetensors"
        mine, theirs = (icl.TaskVector.load(folder / name) for folder in (local, tmp_path))
        assert_close(theirs.vectors, mine.vectors, atol=1e-5, rtol=0)
        assert theirs.best_layer == mine.best_layer
    assert read_json(tmp_path / "run.json")["host"] == remote_llama.host
    sent, done = (
        [record["job"] for record in read_records(tmp_path) if record["event"] == event]
        for event in ("submitted", "done")
    )
    assert len({*sent}) == len(sent) == len(TASKS) * 3 + 1  # sweep, cluster, vocabulary; one pair
    assert {*sent} == {*done}, "a task is one job"


def test_whole_answers_are_written_there_as_here(
    llama: Model, remote_llama: Model, tmp_path: Path, trust: str
) -> None:
    folders = []
    for name, model in (("here", llama), ("there", remote_llama)):
        folders.append(tmp_path / name)
        icl.sweep(model, TASKS, output=folders[-1], answer="generate", **COUNTS)
    here, there = (read_lines(folder / "samples.jsonl") for folder in folders)
    assert there == here
    assert any(len(sample["prediction"]) > 1 for sample in here)


@pytest.mark.parametrize(
    ("experiment", "options"),
    [(icl.sweep, {}), (icl.compare, {"methods": "state,state-vector", "controls": "random"})],
    ids=["sweep", "compare"],
)
def test_labels_are_compared_there_as_here(
    experiment: Any,
    options: dict[str, Any],
    llama: Model,
    remote_llama: Model,
    tmp_path: Path,
    trust: str,
) -> None:
    pairs = {country: SHARING[row % 3] for row, country in enumerate(load_task(CAPITALS).inputs)}
    task = icl.Task.from_pairs("sharing", pairs)
    samples = []
    for name, model in (("here", llama), ("there", remote_llama)):
        experiment(model, [task], output=tmp_path / name, answer="labels", **options, **COUNTS)
        samples.append(read_lines(tmp_path / name / "samples.jsonl"))
    here, there = ([(s["id"], s["method"], s["prediction"]) for s in part] for part in samples)
    assert here == there and len({prediction for *_, prediction in here}) > 1


def test_what_comes_down_is_little_more_than_theta(remote_llama: Model, tmp_path: Path) -> None:
    icl.sweep(remote_llama, ["to_upper"], output=tmp_path, **COUNTS)
    [done] = [record for record in read_records(tmp_path) if record["event"] == "done"]
    theta = remote_llama.n_layers * remote_llama.config.hidden_size * 4  # bytes, float32
    assert 0 < done["bytes_down"] <= 1.1 * theta + 100_000
    assert 0 < done["bytes_up"] < 100_000


def test_one_vector_is_extracted_and_applied_there(
    llama: Model, remote_llama: Model, trust: str
) -> None:
    pairs = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo"}
    mine, theirs = (icl.extract(model, pairs, ["Kenya"]) for model in (llama, remote_llama))
    assert_close(theirs.vectors, mine.vectors, atol=1e-5, rtol=0)
    queries = ["Spain", "Peru", "Italy"]
    here, there = (icl.apply(model, mine, queries, layer=2) for model in (llama, remote_llama))
    assert here == there
    here_by_layer = icl.apply_by_layer(llama, mine, queries)
    assert_frame_equal(icl.apply_by_layer(remote_llama, mine, queries), here_by_layer, atol=1e-5)


def test_nothing_of_the_model_is_held_here(remote_llama: Model) -> None:
    devices = {parameter.device for parameter in remote_llama.nnsight._module.parameters()}
    assert devices == {torch.device("meta")}
    assert remote_llama.device == "remote"
    assert remote_llama.dtype == "float32"


def test_a_run_that_began_here_goes_on_there(
    llama: Model, remote_llama: Model, local: Path, tmp_path: Path
) -> None:
    class Stop(Observer):
        def finished(self, result: Any, line: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        icl.sweep(llama, TASKS, output=tmp_path, observer=Stop(), **COUNTS)
    found = icl.sweep(remote_llama, TASKS, output=tmp_path, **COUNTS)
    assert found.data["tasks"] == read_json(local / "results.json")["tasks"]
    assert len([r for r in read_records(tmp_path) if r.get("job")]) == 2 * (len(TASKS) - 1)

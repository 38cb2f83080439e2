import shutil
from html import unescape
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.experiments.reproduce import Reproduce, ReproduceConfig
from icl_vectors.models.load import Model
from icl_vectors.observer import Observer
from icl_vectors.report.write import sections_of, write_report
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from icl_vectors.runs.reading import read_run
from tests.experiments.compare import files_without_times
from tests.listener import Listener
from tests.made import PARITY

TASKS = "next_letter,to_upper,list_last"  # of the paper's pairs only next_letter:to_upper
SMALL: dict[str, Any] = {"test": 3, "dev": 3}
MINE = icl.Task.from_pairs("mine", {f"w{i}": f"v{i}" for i in range(12)})


@pytest.fixture(scope="module")
def folder(llama: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("all") / "run"
    reproduce_small(llama, output, Listener())
    return output


def reproduce_small(model: Model, output: Path, observer: Observer, tasks: Any = TASKS) -> None:
    asked = ReproduceConfig.make(tasks, **SMALL)
    Reproduce.run(model, asked, output=output, observer=observer)


def results(folder: Path) -> dict[str, Any]:
    return read_json(folder / "results.json")


def steps(listener: Listener) -> list[str]:
    return [text for text in listener.logged if text[1] == "/"]


def test_one_folder_holds_all_experiments(folder: Path) -> None:
    found, names = results(folder), TASKS.split(",")
    assert set(found) >= {"schema", "model", "dtype", "n_layers", "tasks", "summary"}
    assert [entry["task"] for entry in found["tasks"]] == names
    assert found["cluster"]["tasks"] == names
    assert len(found["cluster"]["silhouette_by_layer"]) == found["n_layers"]
    assert {one["task"] for one in found["vocabulary"]} == set(names)
    assert len(list((folder / "vectors").iterdir())) == 3
    (pair,) = found["conflict"]  # of the paper's pairs whose tasks are chosen
    assert (pair["a"], pair["b"]) == ("next_letter", "to_upper")
    best = {entry["task"]: entry["best_layer"] for entry in found["tasks"]}
    assert pair["layer"] == best["to_upper"], "of the one sweep"
    kinds = [r["experiment"] for r in read_records(folder) if r["event"] == "done"]
    assert kinds == ["sweep"] * 3 + ["cluster"] * 3 + ["conflict"] + ["vocabulary"] * 3


def test_shots_are_five_in_the_sweep_and_four_in_the_other_experiments(folder: Path) -> None:
    run = read_json(folder / "run.json")["experiments"]
    assert all("finished" in entry for entry in run.values())
    shots = {name: run[name]["configuration"].get("shots") for name in run}
    assert shots == {"sweep": 5, "cluster": 4, "conflict": 4, "vocabulary": None}
    lines = read_lines(folder / "prompts.jsonl")
    assert {len(one["demonstrations"]) for one in lines if ":" not in one["task"]} == {5}
    assert {len(one["demonstrations"]) for one in lines if ":" in one["task"]} == {4}


def test_again_nothing_is_run_and_nothing_changes(llama: Model, folder: Path) -> None:
    before = files_without_times(folder)
    listener = Listener()
    reproduce_small(llama, folder, listener)
    assert listener.lines == []
    assert steps(listener) == ["1/4 sweep", "2/4 cluster", "3/4 conflict", "4/4 vocabulary"]
    assert files_without_times(folder) == before


@pytest.mark.parametrize("stop_at", ["2/4 cluster", "4/4 vocabulary"])
def test_an_interrupted_run_goes_on(
    llama: Model, folder: Path, tmp_path: Path, stop_at: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        reproduce_small(llama, tmp_path, Listener(stop_at=stop_at))
    reproduce_small(llama, tmp_path, Listener())
    assert results(tmp_path) == results(folder)


def test_a_single_task_has_no_map_and_no_pair(llama: Model, tmp_path: Path) -> None:
    listener = Listener()
    reproduce_small(llama, tmp_path, listener, tasks=[MINE])
    assert steps(listener) == ["1/2 sweep", "2/2 vocabulary"]
    assert not {"cluster", "conflict"} & set(results(tmp_path))


def test_unbalanced_prompts_are_those_of_such_a_sweep(llama: Model, tmp_path: Path) -> None:
    found = (tmp_path / "all", tmp_path / "sweep", tmp_path / "balanced")
    icl.reproduce(llama, [PARITY], unbalanced=True, output=found[0], **SMALL)
    for folder, unbalanced in zip(found[1:], (True, False), strict=True):
        icl.sweep(llama, [PARITY], unbalanced=unbalanced, output=folder, **SMALL)
    prompts = [(folder / "prompts.jsonl").read_bytes() for folder in found]
    assert prompts[0] == prompts[1] != prompts[2]
    run = read_json(found[0] / "run.json")["experiments"]
    assert run["sweep"]["configuration"]["unbalanced"] is True


def test_tasks_too_short_are_refused_before_anything_is_run(llama: Model, tmp_path: Path) -> None:
    short = icl.Task.from_pairs("short", {f"w{i}": "v" for i in range(7)})
    with pytest.raises(icl.IclVectorsError, match="short has 7"):
        reproduce_small(llama, tmp_path / "run", Listener(), tasks=[MINE, short])
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def of_seeds(llama: Model, tmp_path_factory: pytest.TempPathFactory) -> icl.Results:
    folder = tmp_path_factory.mktemp("seeds") / "run"
    found: icl.Results = icl.reproduce(llama, TASKS, seeds="41,42", output=folder, **SMALL)
    return found


def test_several_seeds_are_a_run_each(of_seeds: icl.Results, folder: Path, llama: Model) -> None:
    assert of_seeds.folder is not None
    assert {one.name for one in of_seeds.folder.iterdir()} == {"seed41", "seed42"}
    for name in ("samples.jsonl", "prompts.jsonl", "cluster.csv"):
        same = [(place / name).read_bytes() for place in (of_seeds.folder / "seed41", folder)]
        assert same[0] == same[1], "as a run of that seed alone"
    frame = of_seeds.to_pandas()
    assert {*frame["seed"]} == {41, 42}
    own = icl.reproduce(llama, TASKS, seed=42, **SMALL)
    other = frame[frame["seed"] == 42].reset_index(drop=True)
    assert other.equals(own.to_pandas().reset_index(drop=True))
    assert {*of_seeds.vectors} == {(task, seed) for task in TASKS.split(",") for seed in (41, 42)}
    vectors = (run.vectors["to_upper", 42].vectors for run in (of_seeds, own))
    assert torch.equal(next(vectors), next(vectors))


def test_the_same_command_again_resumes_every_seed(of_seeds: icl.Results, llama: Model) -> None:
    folder = of_seeds.folder
    assert folder is not None
    before = files_without_times(folder / "seed42")
    shutil.rmtree(folder / "seed41")
    again = icl.reproduce(llama, TASKS, seeds=[41, 42], output=folder, **SMALL)
    assert again.data == of_seeds.data
    assert files_without_times(folder / "seed42") == before


@pytest.mark.usefixtures("drawn_once")
def test_every_claim_has_its_value_over_the_seeds(of_seeds: icl.Results) -> None:
    assert of_seeds.folder is not None
    page = write_report([of_seeds.folder])
    text = page.read_text("utf-8")
    assert "Claim by claim, over seeds" in text and "Every seed" in text
    assert "(float32), seed 41" in text and "(one model)" in text
    places = [of_seeds.folder / name for name in ("seed41", "seed42")]
    values = [
        {claim.name: claim for one in sections_of(read_run(place)) for claim in one.claims}
        for place in places
    ]
    table = (of_seeds.folder / "tables" / "claims_over_seeds.md").read_text("utf-8")
    drawn = unescape(text).partition("Dot plot of each claim's value over seeds")[2]
    for name, claim in values[0].items():
        row = next(line for line in table.splitlines() if line.startswith(f"| {name} |"))
        other = values[1][name]
        if claim.value is None or other.value is None:
            continue
        mean, half = fmean((claim.value, other.value)), abs(claim.value - other.value) / 2
        bound = 12.706 * half  # Student's t of one degree of freedom, times SD / √2
        shown = f"{mean:.2f} \\[{mean - bound:.2f}, {mean + bound:.2f}\\] (n = 2)"
        assert shown in row
        assert (
            f"{mean:.2f} [{mean - bound:.2f}, {mean + bound:.2f}]"
            in drawn.partition(f"{name}: ")[2]
        )
    assert any(claim.value is not None for claim in values[0].values())

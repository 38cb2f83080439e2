"""What holds for every experiment: resumed, refused, never mixed, the same in any batches."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from icl_vectors.discovery import experiment
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.graph import experiments, task
from icl_vectors.models.load import Model, load_model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from icl_vectors.tasks.task import Task
from tests.experiments.compare import files_without_times, same_but_for_vectors
from tests.experiments.conftest import SWEEPS, Finished, run
from tests.experiments.test_sweep import WORDS
from tests.listener import Listener, never
from tests.tiny import N_LAYERS
from tests.told import told

SESSIONS = {"sweep": (task, "run_task"), "shots": (task, "run_task"),
            "cluster": (experiments, "run_many_thetas"), "conflict": (experiments, "run_conflict"),
            "vocabulary": (experiments, "run_projection")}  # fmt: skip
COUNTED = {"conflict": "a", "vocabulary": "entries"}  # not the units of the sweep before


def vectors(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    files = sorted(folder.rglob("*.safetensors"))
    return {file.relative_to(folder).as_posix(): load_file(file) for file in files}


@pytest.mark.parametrize(
    ("name", "stop", "done", "begun"),
    [
        ("sweep", {"stop_after": 1}, 1, 1),
        ("sweep", {"stop_at": "to_upper dev"}, 1, 2),
        ("sweep", {"stop_at": "next_letter test"}, 2, 3),
        ("sweep", {"stop_at": "list_first dev"}, 0, 1),
        ("written", {"stop_after": 1}, 1, 1),
        ("conflict", {"stop_after": 1}, 1, 1),
        ("cluster", {"stop_after": 1}, 1, 1),
        ("vocabulary", {"stop_after": 1}, 1, 1),
        ("shots", {"stop_after": 2}, 2, 2),
    ],
)
def test_an_interrupted_run_goes_on_and_runs_no_finished_unit_again(
    llama: Model, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, stop: dict[str, Any], done: int, begun: int,
) -> None:  # fmt: skip
    unbroken, counting = finished(name), COUNTED.get(name, "")

    def events(folder: Path, event: str) -> Counter[str]:
        own = SWEEPS.get(name, name)
        records = [one for one in read_records(folder) if one["experiment"] == own]
        return Counter(one["task"] for one in records if one["event"] == event)

    with pytest.raises(KeyboardInterrupt):
        run(name, llama, tmp_path, observer=Listener(**stop, counting=counting))
    assert events(tmp_path, "done").total() == done
    assert events(tmp_path, "submitted").total() == begun
    listener = Listener(counting=counting)
    again = run(name, llama, tmp_path, observer=listener)
    assert again.data == read_json(unbroken / "results.json")
    units = events(unbroken, "done")
    assert (listener.done_before, len(listener.lines)) == (done, units.total() - done)
    assert events(tmp_path, "done") == units
    assert same_but_for_vectors(unbroken, tmp_path, "records.jsonl")
    found, expected = vectors(tmp_path), vectors(unbroken)
    assert found.keys() == expected.keys()
    for file, tensors in expected.items():
        assert all(torch.equal(found[file][key], own) for key, own in tensors.items())
    before = files_without_times(tmp_path)
    for module, session in SESSIONS.values():
        monkeypatch.setattr(module, session, never)
    assert run(name, llama, tmp_path).data == again.data
    assert files_without_times(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "size"), [("written", 3), ("conflict", 1), ("cluster", 3), ("shots", 1)]
)
def test_the_batch_size_changes_no_answer(
    llama: Model, finished: Finished, tmp_path: Path, name: str, size: int
) -> None:
    run(name, llama, tmp_path, batch_size=size)
    whole = vectors(finished(name))
    for file, own in vectors(tmp_path).items():
        assert_close(own, whole[file], rtol=1e-5, atol=1e-5)
    one, other = (
        []
        if name == "cluster"
        else [
            [line.get(key) for key in ("id", "method", "layer", "prediction", "correct")]
            for line in read_lines(folder / "samples.jsonl")
        ]
        for folder in (tmp_path, finished(name))
    )
    assert one == other


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("sweep", {"shots": 4}, "shots: 3 → 4"),
        ("sweep", {"seeds": (1,)}, "seeds: [41] → [1]"),
        ("sweep", {"layers": "1:"}, "layers: [0, 1, 2, 3] → [1, 2, 3]"),
        ("sweep", {"template": "paper"}, "template: {input}→{output} → example:{input}->{output}"),
        ("sweep", {"tasks": "list_first"}, "tasks: next_letter"),
        ("sweep", {"test": 7}, "test: 6 → 7"),
        ("written", {"answer": "first-token"}, "answer: generate → first-token"),
        ("conflict", {"shots": 4}, "shots: 3 → 4"),
        ("conflict", {"test": 7}, "test: 6 → 7"),
        ("conflict", {"pairs": "next_letter:to_upper"}, "pairs: list_last:list_first"),
        ("cluster", {"layer": 1}, "layer: 2 → 1"),
        ("cluster", {"per_task": 6}, "per_task: 5 → 6"),
        ("cluster", {"by_layer": True}, "by_layer: False → True"),
        ("vocabulary", {"top": 7}, "top: 6 → 7"),
        ("shots", {"shots": "0,3"}, "shots: [0, 2] → [0, 3]"),
    ],
)
def test_another_configuration_is_refused_and_the_folder_left_as_it_was(
    llama: Model, finished: Finished, name: str, changes: dict[str, Any], named: str
) -> None:
    folder = finished(name)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with told(named):
        run(name, llama, folder, **changes)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_another_dtype_is_refused(llama_folder: Path, finished: Finished) -> None:
    other = load_model(str(llama_folder), dtype="bfloat16")
    with pytest.raises(IclVectorsError, match="model: dtype float32 → bfloat16"):
        run("sweep", other, finished("sweep"))


WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    "sweep": [
        ({"tasks": []}, "expected at least one task"),
        ({"tasks": [WORDS, Task.from_pairs("words", {"a": "b"})]}, "two tasks are named 'words'"),
        ({"layers": "4"}, "within 0 to 3"),
        ({"answer": "generated"}, "unknown --answer 'generated'. Did you mean generate"),
    ],
    "conflict": [
        ({"pairs": "to_upper:to_upper"}, "expected two different tasks"),
        ({"pairs": "country_capital:to_upper"}, "found 0 in common and none such"),
        ({"shots": 30}, "found fewer: next_letter has 25"),
    ],
    "cluster": [
        ({"layer": N_LAYERS}, "within 0 to 3 (the model has 4 blocks"),
        ({"tasks": "to_upper"}, "cluster: expected two tasks or more, found one."),
    ],
    "vocabulary": [({"layer": -5}, "within 0 to 3"), ({"tasks": "to_uper"}, "Did you mean to_up")],
    "compare": [
        ({"layers": "9"}, "the model has 4 blocks"),
        ({"shots": 0}, "--shots 0: expected 1 or more"),
        ({"heads": "/nowhere/heads.json"}, "heads.json of a comparison"),
    ],
    "shots": [({"shots": "30"}, "lower --shots"), ({"shots": "1,x"}, "expected numbers of demo")],
}
FOR_ALL: list[tuple[dict[str, Any], str]] = [
    ({"template": "{input}"}, "expected {output} exactly once")
]
FOR_ALL += [({name: 0}, f"--{name} 0: expected 1 or more") for name in ("test", "dev", "dummies")]


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_told_before_anything_is_run(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(*SESSIONS.get(name, SESSIONS["sweep"]), never)
    monkeypatch.setattr(*SESSIONS["sweep"], never)
    accepted = {*experiment(name).Config.model_fields}
    for options, message in [*WRONG[name], *(one for one in FOR_ALL if {*one[0]} <= accepted)]:
        with pytest.raises(IclVectorsError) as raised:
            run(name, llama, tmp_path / "run", **options)
        assert message in str(raised.value) and not isinstance(raised.value, RunError)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "broken", "told"),
    [
        ("cluster", lambda found: found.fill_(torch.nan), "to_upper: states hold NaN or infinity"),
        ("conflict", lambda found: {**found, "finite": False}, "to_upper: states or logits hold N"),
        ("vocabulary", lambda found: {**found, "finite": torch.tensor(False)},
         "to_upper: the logits hold NaN or infinity in float32"),
    ],
)  # fmt: skip
def test_nan_stops_the_run_and_nothing_is_kept_of_that_unit(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, broken: Any, told: str,
) -> None:  # fmt: skip
    session = getattr(*SESSIONS[name])
    gives_nan = lambda *given, **more: broken(session(*given, **more))  # noqa: E731
    monkeypatch.setattr(*SESSIONS[name], gives_nan)
    with pytest.raises(RunError, match=told):
        run(name, llama, tmp_path)
    records = [one for one in read_records(tmp_path) if one["experiment"] == name]
    assert [record["event"] for record in records] == ["submitted"]
    samples = tmp_path / "samples.jsonl"
    assert not samples.exists() or not any(":" in line["task"] for line in read_lines(samples))
    assert not (tmp_path / "thetas").exists() or not [*(tmp_path / "thetas").iterdir()]

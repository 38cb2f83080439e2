import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import RunFolder, Unit, read_json, read_records
from tests.told import told

MODEL = {"reference": "tiny", "fingerprint": "1", "dtype": "float32"}
IDENTITY = {"model": MODEL, "template": "{input}→{output}"}
CONFIGURATION = {"tasks": {"a": "1", "b": "2"}, "seeds": [41], "shots": 5, "layers": [0, 1]}
A, B = ("a", 41), ("b", 41)
HOLD = """
import sys, time
from icl_vectors.runs.folder import RunFolder
with RunFolder(sys.argv[1], "sweep", identity={}, configuration={}, provenance={}):
    print("held", flush=True)
    sys.stdin.read()
"""


def folder(path: Path, experiment: str = "sweep", **changes: Any) -> RunFolder:
    given = {**IDENTITY, **CONFIGURATION, **changes}
    identity = {key: given.pop(key) for key in IDENTITY}
    provenance = {"device": given.pop("device", "cpu")}
    return RunFolder(
        path, experiment, identity=identity, configuration=given, provenance=provenance
    )


def prompt(unit: Unit) -> Prompt:
    return Prompt(f"{unit[0]}-0", unit[0], unit[1], "test", "x", ("y",), (("p", "q"),), ("d",))


def sample(unit: Unit) -> dict[str, Any]:
    return {"id": f"{unit[0]}-0", "task": unit[0], "seed": unit[1], "prediction": "→"}


def finish(opened: RunFolder, unit: Unit) -> None:
    opened.submitted(unit)
    opened.finish(
        unit, {"task": unit[0]}, prompts=[prompt(unit)], samples=[sample(unit)], seconds=1.0
    )


def contents(path: Path) -> dict[str, bytes]:
    names = ("records.jsonl", "prompts.jsonl", "samples.jsonl")
    return {name: (path / name).read_bytes() for name in names}


def test_a_new_folder_holds_its_configuration(tmp_path: Path) -> None:
    with folder(tmp_path / "deep" / "run") as opened:
        assert opened.done == {}
        path = opened.vector_path("a", 41)
    assert path == tmp_path / "deep" / "run" / "vectors" / "a.seed41.safetensors"
    assert path.parent.is_dir()
    run = read_json(tmp_path / "deep" / "run" / "run.json")
    assert run["schema"] == 1
    assert run["model"] == IDENTITY["model"]
    assert run["device"] == "cpu"
    assert run["experiments"]["sweep"]["configuration"] == CONFIGURATION


def test_records_prompts_and_samples_are_lines_of_json(tmp_path: Path) -> None:
    with folder(tmp_path) as opened:
        finish(opened, A)
        opened.failed(B, "too short")
    shown = [(one["event"], one["task"], one["seed"]) for one in read_records(tmp_path)]
    assert shown == [("submitted", "a", 41), ("done", "a", 41), ("failed", "b", 41)]
    assert {one["experiment"] for one in read_records(tmp_path)} == {"sweep"}
    assert read_lines(tmp_path / "samples.jsonl") == [sample(A)]
    line = read_lines(tmp_path / "prompts.jsonl")[0]
    keys = "id task seed split query answers demonstrations dummies".split()
    assert list(line) == keys


@pytest.mark.parametrize("name", ["records.jsonl", "samples.jsonl", "prompts.jsonl"])
def test_what_a_killed_writer_left_is_dropped(tmp_path: Path, name: str) -> None:
    with folder(tmp_path) as opened:
        finish(opened, A)
    whole = contents(tmp_path)
    with folder(tmp_path) as opened:
        finish(opened, B)
    after = contents(tmp_path)
    order = ["prompts.jsonl", "samples.jsonl", "records.jsonl"]  # as they are written
    for later in order[order.index(name) :]:
        content = after[later] if later == name else whole[later]
        (tmp_path / later).write_bytes(content[:-3] if later == name else content)
    with folder(tmp_path) as opened:
        assert set(opened.done) == {A}
    kept = contents(tmp_path)
    assert kept["samples.jsonl"] == whole["samples.jsonl"]
    assert kept["prompts.jsonl"] == whole["prompts.jsonl"]
    with folder(tmp_path) as opened:
        finish(opened, B)
        assert set(opened.done) == {A, B}
    found = contents(tmp_path)
    assert found["samples.jsonl"] == after["samples.jsonl"]
    assert found["prompts.jsonl"] == after["prompts.jsonl"]


def test_a_unit_is_finished_at_no_byte_before_its_record_ends(tmp_path: Path) -> None:
    with folder(tmp_path) as opened:
        finish(opened, A)
    content = (tmp_path / "records.jsonl").read_bytes()
    start = content.index(b"\n") + 1
    for length in range(start, len(content), 7):
        (tmp_path / "records.jsonl").write_bytes(content[:length])
        with folder(tmp_path) as opened:
            assert opened.done == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model": {**MODEL, "fingerprint": "2"}}, "model: fingerprint 1 → 2"),
        ({"model": {"reference": "b", "fingerprint": "2"}}, "model: tiny → b"),
        ({"model": {**MODEL, "dtype": "nf4"}}, "model: dtype float32 → nf4"),
        ({"template": "{input}>{output}"}, "template: {input}→{output} → {input}>{output}"),
        ({"shots": 3}, "shots: 5 → 3"),
        ({"seeds": [41, 42]}, "seeds: [41] → [41, 42]"),
        ({"layers": [1]}, "layers: [0, 1] → [1]"),
        ({"tasks": {"a": "9", "c": "3"}}, "tasks: a 1 → 9, b 2 → not set, c not set → 3"),
        ({"answer": "generate"}, "answer: not set → generate"),
    ],
)
def test_another_configuration_is_refused(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with folder(tmp_path) as opened:
        finish(opened, A)
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    with told(f"holds a run of another configuration ({named})"):
        folder(tmp_path, **changes)
    assert {file: file.read_bytes() for file in before} == before
    with folder(tmp_path) as opened:
        assert set(opened.done) == {A}


def test_finished_units_are_known_when_it_is_opened_again_on_any_device(tmp_path: Path) -> None:
    with folder(tmp_path) as opened:
        finish(opened, A)
    before = contents(tmp_path)
    with folder(tmp_path, device="cuda:0") as opened:
        assert opened.done == {A: {"task": "a"}}
    assert contents(tmp_path) == before
    assert read_json(tmp_path / "run.json")["device"] == "cuda:0"


def test_experiments_share_a_folder(tmp_path: Path) -> None:
    with folder(tmp_path) as opened:
        finish(opened, A)
        opened.write_results({"tasks": [1]})
    with folder(tmp_path, "conflict", shots=3) as opened:
        assert opened.done == {}
        finish(opened, A)
        opened.write_results({"conflict": [2]})
    assert set(read_json(tmp_path / "run.json")["experiments"]) == {"sweep", "conflict"}
    assert read_json(tmp_path / "results.json") == {"schema": 1, "tasks": [1], "conflict": [2]}
    with folder(tmp_path) as opened:
        assert set(opened.done) == {A}


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_has_to_wait(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(IclVectorsError, match="another process is writing there"):
        RunFolder(tmp_path, "sweep", identity={}, configuration={}, provenance={})
    holder.kill()
    holder.wait()
    with RunFolder(tmp_path, "sweep", identity={}, configuration={}, provenance={}) as opened:
        assert opened.done == {}


def test_a_refused_folder_is_not_kept_locked(tmp_path: Path) -> None:
    with folder(tmp_path):
        pass
    for _ in range(2):
        with pytest.raises(IclVectorsError, match="another configuration"):
            folder(tmp_path, shots=1)
    with folder(tmp_path):
        pass


def test_seconds_add_up_over_resumed_runs(tmp_path: Path) -> None:
    for unit in (A, B):
        with folder(tmp_path) as opened:
            finish(opened, unit)
            opened.write_results({}, peak_memory=10 if unit == A else 5)
    entry = read_json(tmp_path / "run.json")["experiments"]["sweep"]
    assert (entry["seconds"], entry["peak_memory_bytes"]) == (2.0, 10)


def test_results_hold_no_nan(tmp_path: Path) -> None:
    with folder(tmp_path) as opened:
        with pytest.raises(ValueError, match="JSON compliant"):
            opened.write_results({"tasks": [float("nan")]})
    assert not (tmp_path / "results.json").exists()

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.runs.folder import read_json, read_records, read_results
from tests.runs.test_run_folder import A, B, contents, finish, folder, prompt, sample

ZEROS = b"\0" * 64
BLANK = [b"", ZEROS, b"\n"]
DEEP = b"[" * 100_000


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two units done, of which the first has a file of its own."""
    with folder(tmp_path) as opened:
        path = opened.vector_path(*A)
        path.write_bytes(b"0123456789")
        opened.submitted(A)
        prompts, samples = [prompt(A)], [sample(A)]
        opened.finish(A, {"task": "a"}, prompts=prompts, samples=samples, files=[path], seconds=1.0)
        finish(opened, B)
        opened.write_results({"tasks": [1]})
    return tmp_path


@pytest.mark.parametrize("text", [*BLANK, b"{", b"[1]", None])
def test_a_lost_run_json_is_taken_from_its_copy(run: Path, text: bytes | None) -> None:
    whole = read_json(run / "run.json")
    if text is None:
        (run / "run.json").unlink()
    else:
        (run / "run.json").write_bytes(text)
    with pytest.raises(IclVectorsError, match="shots: 5 → 3"):
        folder(run, shots=3)
    with folder(run) as opened:
        assert set(opened.done) == {A, B}
        opened.write_results({"tasks": [1]})
    found = read_json(run / "run.json")
    for one in (found, whole):
        del one["experiments"]["sweep"]["finished"]
    assert found == whole


@pytest.mark.parametrize("text", BLANK)
def test_a_run_whose_first_file_was_left_blank_begins_anew(tmp_path: Path, text: bytes) -> None:
    for name in ("run.json", "records.jsonl", "results.json"):
        (tmp_path / name).write_bytes(text)
    with folder(tmp_path) as opened:
        assert opened.done == {}
        finish(opened, A)
    with folder(tmp_path) as opened:
        assert set(opened.done) == {A}


@pytest.mark.parametrize("text", [b"{", b"[1]", DEEP])
def test_a_damaged_run_json_without_a_copy_stops_the_run(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "run.json").write_bytes(text)
    with pytest.raises(RunError, match=r"run\.json: expected (a )?JSON"):
        folder(tmp_path)
    assert (tmp_path / "run.json").read_bytes() == text


def test_units_that_nothing_describes_are_not_believed(run: Path) -> None:
    for name in ("run.json", ".run.json"):
        (run / name).write_bytes(b"")
    with pytest.raises(RunError, match=r"run\.json: expected JSON") as raised:
        folder(run)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("text", BLANK)
@pytest.mark.parametrize("name", ["records.jsonl", "prompts.jsonl", "samples.jsonl"])
def test_units_whose_lines_were_lost_are_run_again(run: Path, name: str, text: bytes) -> None:
    whole = contents(run)
    (run / name).write_bytes(text)
    with folder(run) as opened:
        assert opened.done == {}
        path = opened.vector_path(*A)
        opened.submitted(A)
        prompts, samples = [prompt(A)], [sample(A)]
        opened.finish(A, {"task": "a"}, prompts=prompts, samples=samples, files=[path], seconds=1.0)
        finish(opened, B)
    found = contents(run)
    assert {name: found[name] for name in ("prompts.jsonl", "samples.jsonl")} == {
        name: whole[name] for name in ("prompts.jsonl", "samples.jsonl")
    }
    done = [(one["task"], one["event"]) for one in read_records(run) if one["event"] == "done"]
    assert done == [("a", "done"), ("b", "done")]


@pytest.mark.parametrize("text", [b"", b"01234", b"0123456789a", None])
def test_a_unit_whose_file_is_half_is_run_again(run: Path, text: bytes | None) -> None:
    path = run / "vectors" / "a.seed41.safetensors"
    path.unlink() if text is None else path.write_bytes(text)
    with folder(run) as opened:
        assert set(opened.done) == {B}
    assert [one["task"] for one in read_records(run) if one["event"] == "done"] == ["b"]
    assert b'"a-0"' not in contents(run)["samples.jsonl"]
    assert b'"b-0"' in contents(run)["samples.jsonl"]


def test_a_doubled_line_is_not_taken_for_a_whole_unit(run: Path) -> None:
    path = run / "samples.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] + path.read_bytes())
    with folder(run) as opened:
        assert set(opened.done) == {B}


def test_what_killed_writers_left_is_removed(run: Path, dead: int) -> None:
    (run / "figures").mkdir()
    left = [run / f".results.json.{dead}", run / "figures" / f".layers_mean.svg.{dead}"]
    written = [run / f".results.json.{os.getpid()}", run / ".notes.txt"]
    for file in (*left, *written):
        file.write_bytes(b"part")
    with folder(run) as opened:
        assert set(opened.done) == {A, B}
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in written)


@pytest.mark.parametrize("text", [*BLANK, b"{", b"[1]", b'{"a": NaN}', DEEP])
def test_lost_results_are_written_anew(run: Path, text: bytes) -> None:
    (run / "results.json").write_bytes(text)
    assert read_results(run) == {}
    with folder(run) as opened:
        assert opened.write_results({"tasks": [1]}) == {"schema": 1, "tasks": [1]}


@pytest.mark.parametrize("name", ["run.json", "results.json"])
def test_files_of_a_newer_version_stop_the_run_and_stay(run: Path, name: str) -> None:
    (run / name).write_text(json.dumps({**read_json(run / name), "schema": 2}), "utf-8")
    before = contents(run)
    with pytest.raises(IclVectorsError, match="expected schema 1, found 2, which a newer version"):
        folder(run)
    assert contents(run) == before


@pytest.mark.parametrize(
    ("event", "damage"),
    [
        ("done", {"prompts": "one"}),
        ("done", {"samples": [1]}),
        ("done", {"files": ["vectors"]}),
        ("done", {"files": {"vectors": None}}),
        ("done", {"result": None}),
        ("submitted", {"part": ["whole"], "job": "1"}),
        ("submitted", {"part": "whole", "job": 1}),
    ],
)
def test_a_record_of_another_shape_is_damage(run: Path, event: str, damage: dict[str, Any]) -> None:
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text("utf-8").splitlines()]
    next(line for line in lines if line["event"] == event).update(damage)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "records.jsonl").write_text(text, "utf-8")
    with pytest.raises(RunError, match=r"records\.jsonl, line \d: expected event, experiment"):
        folder(run)
    assert (run / "records.jsonl").read_text("utf-8") == text


def test_jobs_are_known_to_the_process_that_sent_them_and_to_the_next(tmp_path: Path) -> None:
    with folder(tmp_path) as opened:
        opened.submitted(A, part="whole", job="1")
        opened.submitted(B, part="whole", job="2")
        opened.submitted(A, part="dev", job="3")
        opened.dismissed(A, "dev")
        assert opened.jobs_of(A) == {"whole": "1"}
    with folder(tmp_path) as opened:
        assert (opened.jobs_of(A), opened.jobs_of(B)) == ({"whole": "1"}, {"whole": "2"})

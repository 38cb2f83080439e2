"""Several jobs on the server at once give what one at a time gives, sooner, and nothing else."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError
from icl_vectors.models.load import Model, load_model
from icl_vectors.runs.folder import read_json, read_records
from tests.listener import Listener
from tests.ndif.delay import Delay, delayed
from tests.ndif.server import NdifServer

TASKS = ["to_upper", "to_lower", "next_letter", "prev_letter", "list_first"]
FEW: dict[str, Any] = {"dev": 4, "test": 4}
HELD = 2.0  # seconds of every job in the queue
PORT = 28004
FILES = (
    "prompts.jsonl",
    "samples.jsonl",
    *(f"vectors/{task}.seed41.safetensors" for task in TASKS),
)


@pytest.fixture
def queue(ndif: NdifServer, reachable: set[Any]) -> Iterator[Delay]:
    reachable.add(("127.0.0.1", PORT))
    with delayed(ndif.host, HELD, PORT) as proxy:
        yield proxy


def there(folder: Path, in_flight: int) -> Model:
    return load_model(str(folder), remote=f"http://127.0.0.1:{PORT}", in_flight=in_flight)


def test_five_at_once_give_the_files_of_one_at_a_time_in_half_of_the_time(
    queue: Delay, llama_folder: Path, tmp_path: Path
) -> None:
    seconds = {}
    for count in (1, 5):
        start, folder = monotonic(), tmp_path / str(count)
        icl.sweep(there(llama_folder, count), TASKS, output=folder, **FEW)
        seconds[count] = monotonic() - start
    print(f"{len(TASKS)} tasks, {HELD} s in the queue each: {seconds}")
    assert seconds[1] > len(TASKS) * HELD and seconds[5] < seconds[1] / 2
    for name in FILES:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "5" / name).read_bytes()
    tasks = [read_json(tmp_path / str(count) / "results.json")["tasks"] for count in (1, 5)]
    assert tasks[0] == tasks[1]
    for count in (1, 5):
        records = read_records(tmp_path / str(count))
        done = [one for one in records if one["event"] == "done"]
        assert len(records) == 2 * len(TASKS)  # each was sent once
        assert [one["task"] for one in done] == TASKS
        assert all(one["bytes_up"] > 0 < one["bytes_down"] for one in done)
        assert all(one["job_seconds"] >= HELD for one in done)


def test_controls_wait_for_the_methods_that_they_need(
    queue: Delay, llama_folder: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"tasks": TASKS[:2], "methods": "state,function", "controls": "all"}
    for count in (1, 4):
        icl.compare(there(llama_folder, count), **asked, output=tmp_path / str(count), **FEW)
    for name in ("prompts.jsonl", "samples.jsonl", "heads.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()
    found = [read_json(tmp_path / str(count) / "results.json")["compare"] for count in (1, 4)]
    for entries in found:
        for entry in entries:
            entry.pop("seconds", None)
    assert found[0] == found[1]


def test_a_server_that_takes_fewer_is_obeyed(
    queue: Delay, llama_folder: Path, tmp_path: Path
) -> None:
    queue.most, heard = 2, Listener()
    icl.sweep(there(llama_folder, 6), TASKS[:4], output=tmp_path, observer=heard, **FEW)
    assert queue.refused >= 1 and len(queue.sent) == 4
    assert any("Going on with 2 at once." in log for log in heard.logged)


def test_a_task_that_fails_there_is_raised_when_its_turn_has_come(
    queue: Delay, llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = import_module("icl_vectors.experiments.sweep")
    run = sweep.unit_result

    def broken(task: Any, *rest: Any) -> Any:
        if task.name == TASKS[2]:
            raise IclVectorsError("the third one")
        return run(task, *rest)

    monkeypatch.setattr(sweep, "unit_result", broken)
    model, heard = there(llama_folder, 4), Listener()
    with pytest.raises(IclVectorsError, match="the third one"):
        icl.sweep(model, TASKS, output=tmp_path, observer=heard, **FEW)
    records = read_records(tmp_path)
    assert [one["task"] for one in records if one["event"] == "done"] == TASKS[:2]
    assert any("left on the server; the same command collects them" in n for n in heard.logged)
    monkeypatch.undo()
    icl.sweep(model, TASKS, output=tmp_path, **FEW)
    assert len(queue.sent) == 5  # none was sent twice


@pytest.mark.parametrize("count", [0, 33])
def test_a_number_out_of_bounds_is_refused(llama_folder: Path, count: int) -> None:
    with pytest.raises(IclVectorsError, match=f"--in-flight {count}: expected 1 to 32 jobs"):
        load_model(str(llama_folder), remote="http://127.0.0.1:1", in_flight=count)

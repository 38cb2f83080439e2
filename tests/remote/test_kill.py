"""Nothing is lost and nothing is paid for twice, whoever is killed."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.models.load import load_model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from tests.benchmarks.random_model import random_llama
from tests.ndif.server import NdifServer
from tests.remote.conftest import Client
from tests.tiny import N_TOKENS, bytes_tokenizer, save_model

TASKS = ["to_upper", "next_letter", "list_first"]
COUNTS: dict[str, Any] = {"dev": 40, "test": 40}
SECONDS = 300


@pytest.fixture(scope="module")
def slow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose jobs take some seconds, so that they can be met while they run."""
    folder = tmp_path_factory.mktemp("models") / "slow"
    model = random_llama(
        n_layers=12, hidden=256, heads=4, intermediate=768, n_tokens=N_TOKENS, seed=5
    )
    return save_model(folder, model, bytes_tokenizer())


@pytest.fixture(scope="module")
def unbroken(slow_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run on this machine, in one go."""
    folder = tmp_path_factory.mktemp("unbroken")
    icl.sweep(load_model(str(slow_folder)), TASKS, output=folder, **COUNTS)
    return folder


@pytest.fixture
def arguments(slow_folder: Path, tmp_path: Path, ndif: NdifServer) -> list[object]:
    counts = [part for name, count in COUNTS.items() for part in (f"--{name}", count)]
    run = ["--output", tmp_path / "run", "--host", ndif.host, "--model", slow_folder]
    return ["sweep", "--tasks", ",".join(TASKS), *counts, *run]


def wait_for(holds: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def wait_for_line(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"the client ended before it said {text!r}")


def events(folder: Path, event: str) -> list[dict[str, Any]]:
    found = read_records(folder) if (folder / "records.jsonl").is_file() else []
    return [record for record in found if record["event"] == event]


def finish(client: Client, arguments: list[object], folder: Path, unbroken: Path) -> None:
    """Run the same command to its end; the result is the unbroken run's."""
    process = client(*arguments)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    require_unbroken(folder, unbroken)


def require_unbroken(folder: Path, unbroken: Path) -> None:
    there, here = (read_json(one / "results.json") for one in (folder, unbroken))
    assert there["tasks"] == here["tasks"]
    for name in ("prompts.jsonl", "samples.jsonl"):
        mine, theirs = (read_lines(one / name) for one in (folder, unbroken))
        assert sorted(map(str, mine)) == sorted(map(str, theirs))


@pytest.mark.parametrize("moment", ["sent", "running"])
def test_a_client_killed_while_its_job_waits_or_runs_picks_it_up(
    client: Client, arguments: list[object], tmp_path: Path, unbroken: Path, moment: str
) -> None:
    folder = tmp_path / "run"
    process = client(*arguments)
    if moment == "sent":
        wait_for(lambda: bool(events(folder, "submitted")), process)
    else:
        wait_for_line(process, "running")
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = [record["job"] for record in events(folder, "submitted")]
    assert before and len(events(folder, "done")) < len(TASKS)
    finish(client, arguments, folder, unbroken)
    jobs = [record["job"] for record in events(folder, "submitted")]
    assert jobs[: len(before)] == before
    assert len(jobs) == len(TASKS)  # what was running was not sent again
    assert sorted(jobs) == sorted(record["job"] for record in events(folder, "done"))


def test_a_client_killed_while_the_answer_comes_down_asks_for_it_again(
    client: Client, arguments: list[object], tmp_path: Path, unbroken: Path
) -> None:
    dying = (
        "import os; from icl_vectors.remote.backend import PatientBackend as Backend;"
        "Backend.finalize = lambda self, content, read=Backend.finalize: "
        "os._exit(9) if len(content) > 5000 else read(self, content);"  # a task's, not the first
        "from icl_vectors.cli.main import main; main()"
    )
    command = [sys.executable, "-c", dying, *map(str, arguments)]
    assert subprocess.run(command, capture_output=True, timeout=SECONDS).returncode == 9
    folder = tmp_path / "run"
    assert 1 <= len(events(folder, "submitted")) <= len(TASKS) and not events(folder, "done")
    finish(client, arguments, folder, unbroken)
    assert len(events(folder, "submitted")) == len(TASKS)


def test_ctrl_c_keeps_what_was_finished_and_the_job_that_runs(
    client: Client, arguments: list[object], tmp_path: Path, unbroken: Path
) -> None:
    folder = tmp_path / "run"
    process = client(*arguments)
    wait_for(lambda: len(events(folder, "submitted")) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith("error: interrupted; what was finished is kept.\n")
    assert re.search(r"[1-3] job\(s\) are left on the server; the same command collects them", err)
    finish(client, arguments, folder, unbroken)
    assert len(events(folder, "submitted")) == len(TASKS)


def test_a_worker_that_dies_in_a_job_costs_nothing(
    client: Client, arguments: list[object], tmp_path: Path, unbroken: Path, ndif: NdifServer
) -> None:
    process = client(*arguments)
    wait_for_line(process, "running")
    ndif.kill_worker()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    require_unbroken(tmp_path / "run", unbroken)
    assert len(events(tmp_path / "run", "done")) == len(TASKS)


def test_a_server_that_stops_and_starts_in_a_run_is_waited_for(
    client: Client, arguments: list[object], tmp_path: Path, unbroken: Path, ndif: NdifServer
) -> None:
    folder = tmp_path / "run"
    process = client(*arguments)
    wait_for(lambda: len(events(folder, "done")) == 1, process)
    finished = {record["task"] for record in events(folder, "done")}
    ndif.stop()
    ndif.start()
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert "the server can't be reached; trying again" in err
    require_unbroken(folder, unbroken)
    sent = [record["task"] for record in events(folder, "submitted")]
    assert all(sent.count(task) == 1 for task in finished)

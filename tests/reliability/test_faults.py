import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import icl_vectors as icl
from icl_vectors.cli.main import run as run_command
from icl_vectors.runs.folder import read_records
from tests.experiments.compare import files_without_times
from tests.reliability.conftest import TASKS, Started

Mount = Callable[..., None]
UNITS = 3


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts something for one test, where this is allowed."""
    mounted: list[str] = []

    def call(*arguments: object) -> None:
        command = ["mount", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mount: {done.stderr.strip()}")
        if "remount" not in " ".join(command):
            mounted.append(command[-1])

    yield call
    for place in reversed(mounted):
        subprocess.run(["umount", "--lazy", place], check=True)


def done_in(folder: Path) -> list[str]:
    return [record["task"] for record in read_records(folder) if record["event"] == "done"]


@pytest.fixture(scope="module")
def unbroken(llama: icl.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without figures, in which nothing went wrong."""
    folder = tmp_path_factory.mktemp("unbroken")
    icl.sweep(llama, TASKS, output=folder, dev=4, test=4, batch_size=4)
    return folder


@pytest.mark.parametrize("kilobytes", [4, 8, 12, 16, 24, 32, 40, 48])
def test_a_full_disk_ends_the_run_in_one_line_and_with_room_it_goes_on(
    llama: icl.Model, unbroken: Path, tmp_path: Path, mount: Mount, kilobytes: int
) -> None:
    (tmp_path / "small").mkdir()
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", tmp_path / "small")
    folder = tmp_path / "small" / "run"
    with pytest.raises(OSError, match=r"No space left on device: '.+'"):
        icl.sweep(llama, TASKS, output=folder, dev=4, test=4, batch_size=4)
    kept = done_in(folder)
    for name in ("records.jsonl", "prompts.jsonl", "samples.jsonl"):
        content = (folder / name).read_bytes() if (folder / name).is_file() else b""
        assert content == b"" or content.endswith(b"\n")  # no part of a line
    mount("-o", "remount,size=10m", tmp_path / "small")
    icl.sweep(llama, TASKS, output=folder, dev=4, test=4, batch_size=4)
    assert done_in(folder) == TASKS.split(",") and done_in(folder)[: len(kept)] == kept
    mine, theirs = (files_without_times(one, ["records.jsonl"]) for one in (folder, unbroken))
    assert mine == theirs


@pytest.mark.parametrize(("kilobytes", "code"), [(8, 1), (160, 0), (320, 0)])
def test_the_command_on_a_full_disk_says_so_in_one_line(
    llama_folder: Path,
    tmp_path: Path,
    mount: Mount,
    kilobytes: int,
    code: int,  # 0 where there was room for the results, and none for the figures
    capfd: pytest.CaptureFixture[str],
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", small)
    counts = ["--dev", "4", "--test", "4", "--output", str(small / "run")]
    command = ["sweep", "--model", str(llama_folder), "--tasks", TASKS, *counts]
    assert run_command(command) == code
    said = capfd.readouterr().err.splitlines()
    complaints = ("error: ", "No figures and no report: ")
    assert len([line for line in said if line.startswith(complaints[code == 0])]) == 1
    assert "No space left on device" in said[-1]
    mount("-o", "remount,size=10m", small)
    assert run_command(command) == 0
    assert (small / "run" / "report.html").is_file()


def test_a_read_only_folder_is_refused(started: Started, mount: Mount, tmp_path: Path) -> None:
    started.run.mkdir()
    mount("--bind", started.run, started.run)
    mount("-o", "remount,ro,bind", started.run)
    started.begin()
    code, lines = started.end()
    assert (code, len(lines)) == (2, 1)
    assert "run: cannot be written (Read-only file system); give a folder" in lines[0]
    assert list(started.run.iterdir()) == []


def test_a_folder_that_is_removed_ends_the_run_in_one_line(started: Started) -> None:
    started.begin()
    started.wait_for_units(1)
    started.run.rename(started.place / "gone")  # at once, whatever is being written there
    code, lines = started.end()
    assert (code, len(lines)) == (1, 1) and "No such file or directory" in lines[0]
    assert not started.run.exists()
    started.begin()
    assert started.end() == (0, [])
    assert len(done_in(started.run)) == UNITS


def test_a_command_that_is_asked_to_end_says_so_and_goes_on_later(started: Started) -> None:
    """SIGTERM; at random moments this and Ctrl-C, also twice: `test_programs.py`."""
    started.begin()
    started.wait_for_units(1)
    assert started.process is not None
    started.process.send_signal(signal.SIGTERM)
    code, lines = started.end()
    assert (code, len(lines)) == (143, 1)
    assert lines[0].startswith("error: terminated; what was finished is kept, ")
    before = (started.run / "records.jsonl").read_bytes()
    started.begin()
    assert started.end() == (0, [])
    assert (started.run / "records.jsonl").read_bytes().startswith(before)
    assert len(done_in(started.run)) == UNITS

"""Sweeps as commands of their own, to which something happens while they run."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TASKS = "list_first,to_upper,country_capital"


class Started:
    """A sweep of three tasks in `run`, as a user starts it in a folder.

    Args:
        place: the folder; the model lies elsewhere.
    """

    def __init__(self, place: Path, model: Path, prompts: int) -> None:
        self.place, self.run = place, place / "run"
        counts = ["--dev", str(prompts), "--test", str(prompts), "--batch-size", "8"]
        program = "from icl_vectors.cli.main import main; main()"
        options = ["--model", str(model), "--tasks", TASKS, *counts, "--output", "run"]
        self._command = [sys.executable, "-c", program, "sweep", *options]
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        with (self.place / "said").open("wb") as said:
            self.process = subprocess.Popen(self._command, cwd=self.place, stdout=said, stderr=said)

    def wait_for_units(self, units: int) -> None:
        """Until so many are recorded as done."""
        deadline, path = time.monotonic() + 120, self.run / "records.jsonl"
        while not path.is_file() or path.read_bytes().count(b'{"event": "done"') < units:
            assert time.monotonic() < deadline and self.process and self.process.poll() is None
            time.sleep(0.005)

    def end(self) -> tuple[int, list[str]]:
        """The exit code, and the errors that were said."""
        assert self.process is not None
        code = self.process.wait(300)
        said = (self.place / "said").read_text("utf-8")
        assert "Traceback" not in said, said
        return code, [line for line in said.splitlines() if line.startswith("error: ")]


@pytest.fixture
def started(tmp_path: Path, llama_folder: Path) -> Iterator[Started]:
    """A sweep that has not begun yet; a task takes it a second or so."""
    sweep = Started(tmp_path, llama_folder, prompts=12)
    yield sweep
    if sweep.process and sweep.process.poll() is None:
        sweep.process.kill()
        sweep.process.wait()

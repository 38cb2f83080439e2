import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import icl_vectors as icl
from icl_vectors.cli.main import run
from tests.cli import bad_things


class Outcome(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


class Command:
    """Runs `icl-vectors`, in an empty folder of its own; `model` is the tiny Llama's folder."""

    def __init__(self, capfd: pytest.CaptureFixture[str], place: Path, model: Path) -> None:
        self.capfd, self.place, self.model = capfd, place, model

    def __call__(self, *arguments: object) -> Outcome:
        self.capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self.capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    def tiny(self, line: str, *arguments: object) -> Outcome:
        """A line of the shell, of the tiny Llama."""
        name, *options = shlex.split(line)
        return self(name, "--model", self.model, *options, *arguments)

    def document(self, line: str, *arguments: object) -> Any:
        """What `tiny` gives with --json, alone on stdout."""
        outcome = self.tiny(line, *arguments, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        document, end = json.JSONDecoder().raw_decode(outcome.out)
        assert outcome.out[end:] == "\n"
        return document


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that commands run in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("TOKENIZERS_PARALLELISM", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # a command sets them; put back after
    return folder


@pytest.fixture
def command(
    place: Path, capfd: pytest.CaptureFixture[str], llama_folder: Path, drawn_once: None
) -> Command:
    return Command(capfd, place, llama_folder)


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory, llama: icl.Model, llama_folder: Path) -> Path:
    """A folder of everything that can be wrong; no test may change it."""
    place = tmp_path_factory.mktemp("things")
    shutil.copytree(llama_folder, place / "tiny")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(place)  # so that a run of "tiny" is a run of the same model
        icl.sweep(icl.load_model("tiny"), "to_upper", output="run", dev=2, test=2)
    bad_things.write_task_files(place)
    bad_things.write_models(place, llama_folder)
    bad_things.write_vectors(place, llama)
    bad_things.write_runs(place, place / "run")
    return place


def contents(folder: Path) -> dict[Path, tuple[int, int] | None]:
    """Every file with size and time of its last change, locks apart; and every folder."""
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".lock"
    }


def require_refused(command: Command, things: Path, arguments: list[str], told: str) -> None:
    before = contents(things)
    code, out, err = command(*arguments)
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and "Traceback" not in err
    assert told in err
    assert 1 <= len(err.splitlines()) <= 2
    assert all(c.isprintable() or c == "\n" for c in err)
    assert contents(things) == before

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import icl_vectors as icl
from icl_vectors.cli.main import run
from icl_vectors.models.load import Model, load_model
from tests.cli import bad_things


class Outcome(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


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
def command(place: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `icl-vectors` with arguments, in a folder of its own."""

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory, llama: Model, llama_folder: Path) -> Path:
    """A folder of everything that can be wrong; no test may change it."""
    place = tmp_path_factory.mktemp("things")
    shutil.copytree(llama_folder, place / "tiny")
    with pytest.MonkeyPatch.context() as here:
        here.chdir(place)  # so that a run of "tiny" is a run of the same model
        icl.sweep(load_model("tiny"), "to_upper", output="run", dev=2, test=2)
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

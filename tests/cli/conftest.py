import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from icl_vectors.cli.main import run


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

import os
import re
import subprocess
import sys

import pytest
import typer

from icl_vectors.cli import main
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.version import VERSION
from tests.cli.conftest import Command

NAMES = sorted(typer.main.get_group(main.app).commands)
COMMANDS = [[], *([name] for name in NAMES)]


@pytest.mark.parametrize("names", COMMANDS, ids=lambda names: " ".join(names) or "icl-vectors")
def test_help_says_what_a_command_does_with_an_example(command: Command, names: list[str]) -> None:
    code, out, err = shown = command(*names, "--help")
    assert (code, err) == (0, "")
    assert "Usage: icl-vectors" in out and "\x1b" not in out
    if names:
        assert f"Example: icl-vectors {names[0]}" in " ".join(out.split())
    assert command(*names, "-h") == shown


def test_without_arguments_the_commands_are_shown_whole(command: Command) -> None:
    outcome = command()
    assert "Usage: icl-vectors" in outcome.out + outcome.err
    assert all(names[0] in outcome.out + outcome.err for names in COMMANDS if names)
    commands = command("--help").out.partition("Experiments:")[2]
    assert "explore" in commands and "..." not in commands, "no line is cut"
    assert {"sweep", "extract", "apply", "tasks", "models"} <= {*NAMES}, "of the contract"
    assert command("--version") == (0, f"icl-vectors {VERSION}\n", "")


@pytest.mark.parametrize(
    "line", ["swep", "sweep --no-such", "apply", "extract", "sweep --shots many"]
)
def test_a_command_line_that_cannot_be_read_names_the_help(command: Command, line: str) -> None:
    code, out, err = command(*line.split())
    assert (code, out) == (2, "")
    assert re.fullmatch(r"error: .+ See `icl-vectors.* --help`\.\n", err)


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (IclVectorsError("a\nb\nc\nd\ne\nf\ng"), 2, "error: a\nb\nc\nd\ne\ng\n"),
        (RunError("the disk is full"), 1, "error: the disk is full\n"),
        (OSError(28, "No space left on device", "x"), 1, "error: the run could not go on: "),
        (KeyboardInterrupt(), 130, "error: interrupted; what was finished is kept.\n"),
    ],
)
def test_errors_become_messages_and_exit_codes(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, shown: str
) -> None:
    monkeypatch.setattr("icl_vectors.tasks.task.CATEGORIES", Raising(error))
    found = command("tasks")
    assert found.code == code
    assert found.err.startswith(shown) and "Traceback" not in found.err


class Raising:
    """Raises an error when it is looked at."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def values(self) -> None:
        raise self.error


def test_a_bug_keeps_its_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_vectors.tasks.task.CATEGORIES", Raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        command("tasks")


def test_the_program_exits_with_the_code_of_the_command() -> None:
    program = [sys.executable, "-c", "from icl_vectors.cli.main import main; main()", "tasks", "x"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == main.EXIT_USER
    assert done.stdout == ""
    assert done.stderr.startswith("error: unknown task 'x'.")
    assert len(done.stderr.splitlines()) <= main.LINES_SHOWN


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("sw", "sweep"), ("apply --by", "--by-layer"), ("sweep --sho", "--shots")],
)
def test_a_shell_completes_commands_and_options(typed: str, completed: str) -> None:
    asked = {  # as the function that --show-completion prints asks for it
        "COMP_WORDS": f"icl-vectors {typed}",
        "COMP_CWORD": str(len(typed.split())),
        "_ICL_VECTORS_COMPLETE": "complete_bash",
    }
    program = [sys.executable, "-m", "icl_vectors"]
    done = subprocess.run(program, env={**os.environ, **asked}, capture_output=True, text=True)
    assert completed in done.stdout.split() and done.stderr == ""

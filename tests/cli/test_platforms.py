import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.run_folder import read_json
from tests.cli.test_stopping import PROGRAM

COUNTS = ["--shots", "2", "--dev", "2", "--test", "3", "--layers", "1,2", "--tasks", "to_upper"]
ENCODINGS = ["cp1252", "ascii", "latin-1", "cp932"]
WINDOWS = """
    import os, signal, sys, time

    for name in ("SIGALRM", "setitimer", "getitimer", "alarm", "ITIMER_REAL", "pause", "SIGHUP"):
        delattr(signal, name)
    from icl_vectors.cli.main import main
"""


def python(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "icl_vectors", *arguments],
        capture_output=True,
        env={**os.environ, **variables},
        check=False,
    )


def test_commands_start_run_and_end_without_what_windows_lacks(
    llama_folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    arguments = ["sweep", "--model", str(llama_folder), *COUNTS, "--output", str(output)]
    program = WINDOWS + "    sys.argv = ['icl-vectors', *sys.argv[1:]]\n    main()\n"
    done = python(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert "to_upper" in done.stdout and (output / "report.html").is_file()
    assert python(program, "tasks", "no_such").returncode == 2


@pytest.mark.parametrize("lost", [False, True])
def test_ctrl_c_ends_a_command_without_a_timer(lost: bool) -> None:
    program = textwrap.dedent(WINDOWS) + textwrap.dedent(PROGRAM).format(number=int(signal.SIGINT))
    if not lost:
        program = program.replace("Finalized()", "os.kill(os.getpid(), signal.SIGINT)")
    done = python(program)
    assert (done.stdout, done.returncode) == ("ended\n", 130)
    assert done.stderr == "error: interrupted; what was finished is kept.\n"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stream_that_lacks_characters_gets_ascii_in_their_place(encoding: str) -> None:
    told = command("sweep", "--help", PYTHONIOENCODING=encoding)
    assert (told.returncode, told.stderr) == (0, b"")
    assert b"{input}->{output}" in told.stdout or "→".encode(encoding, "replace") != b"?"
    listed = command("tasks", "country_capital", PYTHONIOENCODING=encoding)
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert b"Paris" in listed.stdout
    as_json = command("apply", "none", "--json", PYTHONIOENCODING=encoding)
    assert as_json.returncode == 2 and b"Traceback" not in as_json.stderr


def test_a_run_s_results_do_not_depend_on_the_stream_s_encoding(
    llama_folder: Path, tmp_path: Path
) -> None:
    found: list[Any] = []
    for encoding in ("utf-8", "ascii"):
        output = tmp_path / encoding
        arguments = ["--model", str(llama_folder), *COUNTS, "--output", str(output)]
        done = command("sweep", *arguments, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        results = read_json(output / "results.json")
        found.append((results["tasks"], (output / "samples.jsonl").read_bytes()))
        again = command("sweep", *arguments, "--json", PYTHONIOENCODING=encoding)
        assert json.loads(again.stdout)["tasks"] == results["tasks"]
    assert found[0] == found[1]
    assert b"theta alone recovers" in done.stdout or b"recovers" not in done.stdout
    assert done.stdout.isascii() and done.stderr.isascii()


def test_a_reader_that_has_seen_enough_ends_the_command_quietly() -> None:
    line = (
        f"{sys.executable} -m icl_vectors tasks country_capital | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_bars_are_drawn_on_a_terminal_alone(llama_folder: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "run")
    arguments = ["--model", str(llama_folder), *COUNTS, "--output", output]
    done = command("sweep", *arguments, FORCE_COLOR="1", TTY_COMPATIBLE="1")
    assert done.returncode == 0
    assert b"\x1b" not in done.stderr and b"\r" not in done.stderr and b"%|" not in done.stderr


@pytest.mark.parametrize("arguments", [["-h"], ["sweep", "-h"], ["apply", "-h"]])
def test_h_is_help(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 0 and done.stdout.startswith(b"Usage: icl-vectors")
    assert done.stdout == command(*arguments[:-1], "--help").stdout


@pytest.mark.parametrize("backend", ["no_such_backend", "TkAgg"])
def test_a_failure_in_drawing_loses_no_result(
    backend: str, llama_folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    program = """
        import sys
        from icl_vectors.cli.main import main
        from icl_vectors.report import write

        def fail(*given):
            raise ValueError("no such font\\nat all")

        write.pictures_of = fail
        sys.argv = ["icl-vectors", *sys.argv[1:]]
        main()
    """
    arguments = ["sweep", "--model", str(llama_folder), *COUNTS, "--output", str(output)]
    done = python(program, *arguments, MPLBACKEND=backend)
    assert done.returncode == 0
    assert "to_upper" in done.stdout and "The run's folder" in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("No figures and no report: ValueError('no such font")
    assert f"draw later: icl-vectors report {output}" in last
    assert read_json(output / "results.json")["tasks"] and not (output / "report.html").exists()
    assert command("report", str(output), MPLBACKEND=backend).returncode == 0
    assert list(output.glob("figures/*.png")) and (output / "report.html").is_file()

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import icl_vectors as icl
from icl_vectors.runs.folder import read_json
from tests.cli.test_stopping import PROGRAM

COUNTS = ["--shots", "2", "--dev", "2", "--test", "3", "--layers", "1,2", "--tasks", "to_upper"]
ENCODINGS = ["cp1252", "ascii", "cp932"]
WINDOWS = """
    import os, signal, sys, time

    for name in ("SIGALRM", "setitimer", "getitimer", "alarm", "ITIMER_REAL", "pause", "SIGHUP"):
        delattr(signal, name)
    from icl_vectors.cli.main import main
"""
SEVERAL = """
    import json, sys
    from icl_vectors.cli.main import main

    codes = []
    for arguments in json.loads(sys.argv[1]):
        sys.argv = ["icl-vectors", *arguments]
        try:
            main()
        except SystemExit as end:
            codes.append(end.code)
    print("ended:", codes, file=sys.stderr)
"""


def python(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )


def commands(given: list[list[str]], **variables: str) -> tuple[list[int], bytes, bytes]:
    """Exit codes, stdout and stderr of commands, given one after another in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SEVERAL), json.dumps(given)],
        capture_output=True,
        env={**os.environ, **variables},
        check=True,
    )
    err, _, codes = done.stderr.rstrip().rpartition(b"ended: ")
    return json.loads(codes), done.stdout, err


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
    given = [["sweep", "--help"], ["tasks", "country_capital"], ["apply", "none", "--json"]]
    codes, out, err = commands(given, PYTHONIOENCODING=encoding)
    assert codes == [0, 0, 2]
    assert b"{input}->{output}" in out or "→".encode(encoding, "replace") != b"?"
    assert b"Paris" in out
    assert err.startswith(b"error: ") and b"Traceback" not in err


def test_a_run_s_results_do_not_depend_on_the_stream_s_encoding_and_bars_need_a_terminal(
    llama: icl.Model, llama_folder: Path, tmp_path: Path
) -> None:
    sweep = ["sweep", "--model", str(llama_folder), *COUNTS, "--output", str(tmp_path / "run")]
    coloured = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "PYTHONIOENCODING": "ascii"}
    codes, out, err = commands([sweep, [*sweep, "--json"]], **coloured)
    assert codes == [0, 0], err
    assert b"\x1b" not in err and b"\r" not in err and b"%|" not in err
    assert b"theta alone recovers" in out or b"recovers" not in out
    assert out.isascii() and err.isascii()
    expected = icl.sweep(
        llama, "to_upper", shots=2, dev=2, test=3, layers="1,2", output=tmp_path / "own"
    )
    assert json.loads(out[out.index(b"\n{") :])["tasks"] == expected.data["tasks"]
    one, other = (tmp_path / name / "samples.jsonl" for name in ("run", "own"))
    assert one.read_bytes() == other.read_bytes()


def test_a_reader_that_has_seen_enough_ends_the_command_quietly() -> None:
    tasks = f"{sys.executable} -m icl_vectors tasks country_capital"
    line = f"{tasks} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_a_failure_in_drawing_loses_no_result(llama_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    program = textwrap.dedent(WINDOWS) + textwrap.dedent("""
        from icl_vectors.report import write

        def fail(*given):
            raise ValueError("no such font\\nat all")

        draw, write.render = write.render, fail
        sys.argv = ["icl-vectors", *sys.argv[1:]]
        try:
            main()
        except SystemExit as end:
            assert end.code == 0 and not os.path.exists(f"{sys.argv[-1]}/report.html")
        write.render = draw
        sys.argv = ["icl-vectors", "report", sys.argv[-1]]
        main()
    """)
    arguments = ["sweep", "--model", str(llama_folder), *COUNTS, "--output", str(output)]
    done = python(program, *arguments, MPLBACKEND="no_such_backend")
    assert done.returncode == 0, done.stderr
    assert "to_upper" in done.stdout and "The run's folder" in done.stdout
    [last] = [line for line in done.stderr.splitlines() if line.startswith("No figures")]
    assert last.startswith("No figures and no report: ValueError('no such font")
    assert f"draw later: icl-vectors report {output}" in last
    assert read_json(output / "results.json")["tasks"]
    assert list(output.glob("figures/*.png")) and (output / "report.html").is_file()

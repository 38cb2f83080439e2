import signal
import subprocess
import sys
import textwrap

import pytest

WAYS = [
    (signal.SIGTERM, 143, "terminated; what was finished is kept, the same command goes on."),
    (signal.SIGINT, 130, "interrupted; what was finished is kept."),
]

PROGRAM = """
    import os, signal, sys, time
    from icl_vectors.cli.stopping import Stopping

    class Finalized:
        def __del__(self):
            os.kill(os.getpid(), {number})
            time.sleep(0)  # the signal is heard here, where what is raised is dropped

    signal.signal(signal.SIGINT, signal.default_int_handler)
    stopping = Stopping()
    stopping.listen()
    try:
        Finalized()
        for _ in range(500):
            time.sleep(0.01)
        print("went on")
    except KeyboardInterrupt:
        print("ended")
    sys.exit(stopping.close())
"""


@pytest.mark.parametrize(("number", "code", "line"), WAYS)
def test_a_signal_in_a_finalizer_ends_the_command(number: int, code: int, line: str) -> None:
    program = textwrap.dedent(PROGRAM).format(number=int(number))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("ended\n", f"error: {line}\n", code)


def test_what_else_a_finalizer_drops_is_still_shown() -> None:
    program = textwrap.dedent(PROGRAM).format(number=0).replace("os.kill(", "print(1 / 0, ")
    done = subprocess.run(
        [sys.executable, "-c", program.replace("range(500)", "range(1)")],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "went on\n"
    assert "ZeroDivisionError" in done.stderr

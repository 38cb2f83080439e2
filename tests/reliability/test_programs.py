import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program(name: str, *arguments: str) -> str:
    """What a program of this folder prints; they fork, so each runs in a process of its own."""
    command = [sys.executable, "-m", f"tests.reliability.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweep_that_is_killed_twenty_times_ends_as_an_unbroken_one() -> None:
    assert "\n20 kills of " in program("kill", "--kills", "20", "--fresh", "1")


def test_a_sweep_that_is_asked_to_end_says_so_in_one_line_and_goes_on_later() -> None:
    assert "every end was that of the unbroken run" in program("stop", "--times", "10")


def test_of_ten_that_begin_together_one_wins_and_reports_read_while_it_writes() -> None:
    said = program("writers", "--times", "1")
    assert "10 at once: 1 exit 0, 9 exit 2" in said
    assert "reports while a sweep wrote; the last is that of the unbroken run" in said

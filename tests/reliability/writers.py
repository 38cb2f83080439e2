"""Several processes on one folder: ten that begin together, and reports while a sweep writes.

    python -m tests.reliability.writers --times 5

Exits 1 where not exactly one of ten wins, or a report fails or replaces a newer one.
"""

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.reliability.forked import ended, prepare, start
from tests.reliability.kill import LONGEST, Watched

TOGETHER = 10
REFUSED = "error: --output run: another process is writing there; "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        arguments = prepare(place)
        longer = [*arguments, "--dev", "20", "--test", "20"]  # the last of an option counts
        for number in range(options.times):
            slowest = ten_at_once(longer, place / f"ten{number}")
            print(f"{TOGETHER} at once: 1 exit 0, {TOGETHER - 1} exit 2 after {slowest:.1f} s")
        print(f"the owner killed: the next begins after {after_a_kill(longer, place):.1f} s")
        assert ended(start(longer, place / "unbroken"), LONGEST) == 0
        reports = report_while_writing(longer, place / "read", place / "unbroken" / "run")
        print(f"{reports} reports while a sweep wrote; the last is that of the unbroken run")


def ten_at_once(arguments: list[str], place: Path) -> float:
    """Exactly one of ten wins; returns the seconds until the last of the others was refused."""
    begin = time.time() + 0.5
    wait: Callable[[], None] = lambda: time.sleep(max(0.0, begin - time.time()))  # noqa: E731
    processes = [start(arguments, place, wait, f"log{one}") for one in range(TOGETHER)]
    codes: dict[int, int] = {}
    slowest = 0.0
    while len(codes) < TOGETHER:
        for one, process in enumerate(processes):
            if one not in codes and (code := ended(process, 0.0)) is not None:
                codes[one] = code
                slowest = time.time() - begin if code else slowest
        time.sleep(0.01)
    said = {one: (place / f"log{one}").read_text("utf-8") for one in codes}
    assert sorted(codes.values()) == [0] + [2] * (TOGETHER - 1), (codes, said)
    for one in (one for one, code in codes.items() if code):
        errors = [line for line in said[one].splitlines() if "error" in line]
        assert len(errors) == 1 and errors[0].startswith(REFUSED), said[one]
    return slowest


def after_a_kill(arguments: list[str], place: Path) -> float:
    """A killed owner's lock does not block; returns the seconds to the next one's first unit."""
    watched = Watched(place / "killed")
    process = start(arguments, watched.place)
    _wait_for_units(watched, 1)
    os.kill(process, signal.SIGKILL)
    assert ended(process, LONGEST) == -signal.SIGKILL
    begin = time.time()
    process = start(arguments, watched.place)
    _wait_for_units(watched, 2)
    seconds = time.time() - begin
    assert ended(process, LONGEST) == 0
    return seconds


def report_while_writing(arguments: list[str], place: Path, unbroken: Path) -> int:
    """Reports, one after another and two at once, until the sweep has ended; returns how many."""
    watched, reports = Watched(place), 0
    writer = start(arguments, place, log="log")
    _wait_for_units(watched, 0)
    while (code := ended(writer, 0.0)) is None:
        readers = [start(["report", "run"], place, log=f"report{one}") for one in range(2)]
        for one, reader in enumerate(readers):
            found = ended(reader, LONGEST)
            assert found == 0, (found, (place / f"report{one}").read_text("utf-8"))
            reports += 1
        time.sleep(0.5)
    assert code == 0, (place / "log").read_text("utf-8")
    watched.compare(unbroken)
    return reports


def _wait_for_units(watched: Watched, units: int) -> None:
    deadline = time.time() + 120
    while not (watched.folder / "run.json").is_file() or watched.units() < units:
        assert time.time() < deadline, f"no {units} units"
        time.sleep(0.005)


if __name__ == "__main__":
    main()

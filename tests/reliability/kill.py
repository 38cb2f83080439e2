"""A real sweep, killed with SIGKILL again and again and resumed until done: is the end the same?

    python -m tests.reliability.kill --kills 200 --fresh 10

Half of the kills come after a random time, half before a random operation on the run's files
(open, rename, remove), where a kill harms most; `--fresh` ones hit processes that begin with the
interpreter's own start. Prints a table of what the kills fell into, and exits 1 where an end
differs, a recorded unit was run again, or a resumed run failed.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.experiments.compare import files_without_times, without_times
from tests.reliability.forked import UNITS, ended, prepare, start

LONGEST = 600.0  # seconds of one command
OWN = {".lock", ".run.json", ".report.lock", ".drawn.json"}  # hidden files that stay
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}  # audit events


class Watched:
    """A run that is killed and resumed, and what must hold of it after each kill."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder = place, place / "run"
        self._done: list[bytes] = []

    def look(self) -> str:
        """Check the records after a kill; says what the kill fell into."""
        path = self.folder / "records.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
        done = [line for line in lines if json.loads(line)["event"] == "done"]
        assert done[: len(self._done)] == self._done, "a record was lost or its unit run again"
        self._done = done
        if not (self.folder / "run.json").is_file():
            return "before the run's folder"
        if len(done) == UNITS:
            return "figures, tables, report"
        return "between tasks" if not lines or lines[-1] in done else "in a task"

    def units(self) -> int:
        """How many units are recorded as done."""
        path = self.folder / "records.jsonl"
        return path.read_bytes().count(b'{"event": "done"') if path.is_file() else 0

    def compare(self, unbroken: Path) -> None:
        """Every file is that of the unbroken run, but for times."""
        self.look()
        mine, theirs = (
            files_without_times(one, ["records.jsonl"]) for one in (self.folder, unbroken)
        )
        assert mine.keys() == theirs.keys(), mine.keys() ^ theirs.keys()
        differing = [name for name in mine if mine[name] != theirs[name]]
        assert not differing, f"{differing} are not those of the unbroken run"
        assert _results(self.folder) == _results(unbroken), "records.jsonl"
        hidden = {file.name for file in self.folder.rglob(".*")}
        assert hidden <= OWN, f"left over: {hidden - OWN}"


def _results(folder: Path) -> list[Any]:
    """The `done` records, each unit's once and in order."""
    lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
    return [without_times(one) for one in map(json.loads, lines) if one["event"] == "done"]


def kill_at_operation(number: int, folder: Path) -> None:
    """Have this process killed before its n-th operation on files of a folder."""
    left, inside = number, str(folder)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in OPERATIONS and str(arguments[0]).startswith((inside, "run/")):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def operations(arguments: list[str], place: Path) -> int:
    """How many operations on its files an unbroken run takes."""
    counted = place / "operations"

    def count() -> None:
        seen = 0

        def add(event: str, given: tuple[Any, ...]) -> None:
            nonlocal seen
            if event in OPERATIONS and str(given[0]).startswith((str(place / "run"), "run/")):
                seen += 1
                os.pwrite(written, f"{seen:8}".encode(), 0)

        written = os.open(counted, os.O_WRONLY | os.O_CREAT)
        sys.addaudithook(add)

    assert ended(start(arguments, place, count), LONGEST) == 0
    return int(counted.read_text())


def run_until_done(
    watched: Watched, kill: Callable[[], tuple[str, int | None]], kills: int, tally: Counter[Any]
) -> bool:
    """Start, kill and resume, so many times or until a command ends by itself; whether it did."""
    for _ in range(kills):
        way, code = kill()
        if code == 0:
            return True
        assert code == -signal.SIGKILL, f"exit {code}: {(watched.place / 'log').read_text()}"
        tally[way, watched.look()] += 1
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--fresh", type=int, default=10, help="how many of them in new processes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw, tally = random.Random(options.seed), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        runs = _kill_all(place, options.kills, options.fresh, draw, tally)
    _print_table(tally)
    print(f"\n{sum(tally.values())} kills of {runs} runs; every end was that of the unbroken run.")


def _kill_all(
    place: Path, kills: int, fresh: int, draw: random.Random, tally: Counter[tuple[str, str]]
) -> int:
    arguments = prepare(place)
    begin = time.time()
    most = operations(arguments, place / "unbroken")
    seconds = time.time() - begin
    unbroken = place / "unbroken" / "run"
    swept = (unbroken / "results.json").stat().st_mtime - begin  # then it draws, for longer
    assert ended(start(arguments, place / "second"), LONGEST) == 0
    Watched(place / "second").compare(unbroken)  # else nothing that follows means anything

    def after_a_time() -> tuple[str, int | None]:
        process = start(arguments, watched.place)
        code = ended(process, draw.uniform(0, draw.choice([swept, seconds])))
        return "random time", code if code is not None else _kill(process)

    def at_an_operation() -> tuple[str, int | None]:
        number = int(most * draw.random() ** 2)
        process = start(arguments, watched.place, lambda: kill_at_operation(number, watched.folder))
        return "random operation", ended(process, LONGEST)

    def fresh_process() -> tuple[str, int | None]:
        return "fresh process", _kill_fresh(
            arguments, watched.place, draw.uniform(0.3, 1) * seconds
        )

    runs = 0
    while (left := kills - sum(tally.values())) > 0:
        watched = Watched(place / f"run{runs}")
        new = fresh > sum(n for (way, _), n in tally.items() if way == "fresh process")
        kill = fresh_process if new else (after_a_time, at_an_operation)[runs % 2]
        if not run_until_done(watched, kill, min(left, fresh if new else 10), tally):
            code = ended(start(arguments, watched.place), LONGEST)
            assert code == 0, f"exit {code}: {(watched.place / 'log').read_text()}"
        watched.compare(unbroken)
        runs += 1
        print(f"{sum(tally.values())} kills, {runs} runs", file=sys.stderr, flush=True)
    return runs


def _kill(process: int) -> int | None:
    os.kill(process, signal.SIGKILL)
    return ended(process, LONGEST)


def _kill_fresh(arguments: list[str], place: Path, seconds: float) -> int:
    """Kill a command that begins with the interpreter's own start, of imports or later."""
    program = "from icl_vectors.cli.main import main; main()"
    place.mkdir(exist_ok=True)
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-c", program, *arguments]
        with subprocess.Popen(command, cwd=place, stdout=log, stderr=log) as process:
            try:
                return process.wait(2 * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
    return process.returncode


def _print_table(tally: Counter[tuple[str, str]]) -> None:
    ways = ("random time", "random operation", "fresh process")
    print(f"| killed | {' | '.join(ways)} | all |\n|---|{'---|' * (len(ways) + 1)}")
    for phase in dict.fromkeys(phase for _, phase in sorted(tally, key=lambda one: one[1])):
        counts = [tally[way, phase] for way in ways]
        print(f"| {phase} | {' | '.join(map(str, counts))} | {sum(counts)} |")


if __name__ == "__main__":
    main()

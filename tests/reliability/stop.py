"""A real sweep that is asked to end at random moments: SIGTERM, Ctrl-C, Ctrl-C twice.

    python -m tests.reliability.stop --times 60

Each time: one line on stderr, no traceback, the right exit code, nothing recorded lost; at last
the same command goes on to the end of an unbroken run. Exits 1 where one of these fails.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.reliability.forked import ended, prepare, start
from tests.reliability.kill import LONGEST, Watched

CTRL_C, TERM = signal.SIGINT, signal.SIGTERM
WAYS = {  # signals, exit code, the line
    "SIGTERM": ([TERM], 143, "error: terminated; what was finished is kept, "),
    "Ctrl-C": ([CTRL_C], 130, "error: interrupted; what was finished is kept."),
    "Ctrl-C twice": ([CTRL_C, CTRL_C], 130, "error: interrupted; what was finished is kept."),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw, tally = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        arguments = prepare(place)
        begin = time.time()
        assert ended(start(arguments, place / "unbroken"), LONGEST) == 0
        seconds = time.time() - begin
        unbroken = place / "unbroken" / "run"
        swept = (unbroken / "results.json").stat().st_mtime - begin
        number = 0
        while sum(tally.values()) < options.times:
            watched = Watched(place / f"run{number}")
            number += 1
            for way in draw.choices(list(WAYS), k=6):
                until = draw.uniform(0, draw.choice([swept, seconds]))
                process = start(arguments, watched.place)
                if ended(process, until) is None:
                    stop(process, way, watched, draw.uniform(0, 0.05))
                    tally[way] += 1
            assert ended(start(arguments, watched.place), LONGEST) == 0
            watched.compare(unbroken)
            print(f"{sum(tally.values())} times", file=sys.stderr, flush=True)
    for way, count in tally.items():
        print(f"{way}: {count} times, exit {WAYS[way][1]}, one line each")
    print(f"{number} runs; every end was that of the unbroken run.")


def stop(process: int, way: str, watched: Watched, pause: float) -> None:
    """Send the signals, and check what the command says and how it ends."""
    signals, expected, line = WAYS[way]
    for one in signals:
        os.kill(process, one)  # if it has ended by then it is still there until it is waited for
        time.sleep(pause)
    code = ended(process, 60.0)
    said = (watched.place / "log").read_text("utf-8")
    errors = [shown for shown in said.splitlines() if shown.startswith("error: ")]
    had_ended = code == 0 and not errors
    assert had_ended or (code == expected and len(errors) == 1), f"{way}: exit {code}\n{said}"
    assert had_ended or errors[0].startswith(line), said
    assert "Traceback" not in said and "Exception" not in said, said
    watched.look()


if __name__ == "__main__":
    main()

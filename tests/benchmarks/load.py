"""Much of everything: tasks, prompts, runs; do time and memory grow as the work does?

usage: python -m tests.benchmarks.load [--case tasks:1000 …]

Each line is the command in a fresh process, on a tiny random Llama (4 blocks, width 32), so that
what is measured is the package around the model. Seconds per piece that stay the same say that
time is linear; peak memory beside the smallest case says what a piece costs.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

CASES = ["tasks:100", "tasks:300", "tasks:1000", "prompts:200", "prompts:2000", "prompts:20000"]
CASES += ["report:20", "report:200", "again:20", "again:200"]  # again: figures stand already
PAIRS = 30  # of each task of one's own
SMALL = ["--dev", "8", "--test", "8", "--batch-size", "16"]


def measure(kind: str, count: int, place: Path) -> dict[str, Any]:
    """Seconds and peak memory of one command, in this process; `swept` without the drawing."""
    from icl_vectors.cli.main import run
    from icl_vectors.cli.report import draw  # noqa: F401 (imports before the clock starts)

    arguments = _prepare(kind, count, place)
    start = perf_counter()
    code = run(arguments)
    seconds = perf_counter() - start
    assert code == 0, f"exit {code}"
    return {"seconds": seconds, "swept": _swept(place), "peak": _peak()}


def _prepare(kind: str, count: int, place: Path) -> list[str]:
    """What the command works on; returns the command."""
    from icl_vectors.cli.main import run

    sweep = ["sweep", "--model", str(place / "model"), "--quiet", "--output", str(place / "run")]
    if kind == "tasks":
        files = [_task_file(place, f"task{number}", PAIRS) for number in range(count)]
        return [*sweep, *SMALL, *(word for file in files for word in ("--task-file", file))]
    if kind == "prompts":
        file = _task_file(place, "numbers", 1000)
        counts = ["--dev", "50", "--test", str(count), "--batch-size", "64"]
        return [*sweep, *counts, "--task-file", file]
    from tests.report import folders

    folders.write_folder(place / "one", folders.results())
    if kind == "again":
        run(["report", str(place / "one")])
    for number in range(count):
        shutil.copytree(place / "one", place / "runs" / f"run{number:03}")
    return ["report", str(place / "runs")]


def _task_file(place: Path, name: str, pairs: int) -> str:
    first = sum(map(ord, name))
    content = {f"{first + number}": f"{first + number + 1}" for number in range(pairs)}
    (place / f"{name}.json").write_text(json.dumps(content), "utf-8")
    return str(place / f"{name}.json")


def _swept(place: Path) -> float | None:
    """Seconds in the tasks themselves, as their records say."""
    path = place / "run" / "records.jsonl"
    if not path.is_file():
        return None
    lines = path.read_text("utf-8").splitlines()
    return sum(float(json.loads(line).get("seconds", 0.0)) for line in lines)


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measures every case in a process of its own and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", help="such as tasks:300")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        kind, count = options.case[0].split(":")
        found = measure(kind, int(count), options.here)
        (options.here / "found.json").write_text(json.dumps(found))
        return
    print("| case | s | of them in the tasks | ms a piece | peak GB |\n|---|---|---|---|---|")
    for case in options.case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(_line(case, Path(folder)), flush=True)


def _line(case: str, place: Path) -> str:
    save = "import sys; from tests.tiny import *; from pathlib import Path; save_model("
    save += "Path(sys.argv[1]), random_model('llama'), bytes_tokenizer())"
    subprocess.run([sys.executable, "-c", save, str(place / "model")], check=True)
    command = [sys.executable, "-m", "tests.benchmarks.load", "--case", case, "--here", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads((place / "found.json").read_text())
    swept = "" if found["swept"] is None else f"{found['swept']:.1f}"
    each = 1000 * found["seconds"] / int(case.split(":")[1])
    return f"| {case} | {found['seconds']:.1f} | {swept} | {each:.0f} | {found['peak'] / 1e9:.2f} |"


if __name__ == "__main__":
    main()

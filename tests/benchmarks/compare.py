"""Runs the procedures by turns, each in a process of its own, and prints one Markdown table.

usage: python -m tests.benchmarks.compare --model FOLDER|random-llama --dtype float32,bfloat16
Imports only the standard library: a child's peak memory starts from that of its parent.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RANDOM = "random-llama"
REFERENCE = ("published", "float32")
COLUMNS = "| procedure | dtype | work s | ratio | process s | layer-tokens | ratio | peak MB |"
COLUMNS += " over model MB | ratio | best layer | answers |"

Measured = dict[str, Any]
Key = tuple[str, str]  # procedure, dtype


def measured(procedure: str, model: str, workload: Path, dtype: str) -> Measured:
    """What one run of one procedure cost."""
    command = [procedure, model, str(workload), "--dtype", dtype]
    line = _python("tests.benchmarks.measure", *command).splitlines()[-1]
    found: Measured = json.loads(line)
    return found


def compared(keys: list[Key], model: str, workload: Path, repeats: int) -> dict[Key, Measured]:
    """Of every procedure and dtype the least time and memory of its repeats, taken by turns."""
    runs: dict[Key, list[Measured]] = {key: [] for key in keys}
    for repeat in range(repeats):
        for procedure, dtype in keys:
            print(f"run {repeat + 1} of {repeats}: {procedure} {dtype}", file=sys.stderr)
            runs[procedure, dtype].append(measured(procedure, model, workload, dtype))
    return {key: _least(found) for key, found in runs.items()}


def table(rows: dict[Key, Measured], reference: Key) -> str:
    """A Markdown table, with ratios against one of its rows."""
    base = rows[reference]
    lines = [COLUMNS, "|---" * COLUMNS.count(" |") + "|"]
    for (procedure, dtype), row in rows.items():
        same = row["predictions_sha"] == base["predictions_sha"]
        cells = [
            procedure,
            dtype,
            f"{row['seconds_work']:.2f}",
            _ratio(base, row, "seconds_work"),
            f"{row['seconds_process']:.1f}",
            f"{row['layer_tokens']:,}",
            _ratio(base, row, "layer_tokens"),
            str(row["peak_rss_mb"]),
            str(row["peak_rss_over_model_mb"]),
            _ratio(base, row, "peak_rss_over_model_mb"),
            str(row["best_layer"]),
            "the same" if same else row["predictions_sha"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _least(runs: list[Measured]) -> Measured:
    shas = {run["predictions_sha"] for run in runs}
    if len(shas) > 1:
        raise RuntimeError(f"expected the same answers in every repeat, found {sorted(shas)}")
    timed = ("seconds_work", "seconds_process", "peak_rss_mb", "peak_rss_over_model_mb")
    return runs[0] | {name: min(run[name] for run in runs) for name in timed}


def _ratio(base: Measured, row: Measured, name: str) -> str:
    return f"{base[name] / max(row[name], 1e-9):.1f}×"


def _python(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def _prepared(model: str, workload: Path | None, prompts: int, folder: Path) -> tuple[str, Path]:
    """The model's folder and a workload cut to as many prompts; the random ones are made."""
    if model == RANDOM:
        made = folder / "workload.json"
        _python("tests.benchmarks.random_model", str(folder), str(made), str(prompts))
        return str(folder), workload or made
    if workload is None:
        raise SystemExit(f"expected --workload FILE.json with the model {model}, found none")
    splits = json.loads(workload.read_text(encoding="utf-8"))
    cut = folder / "workload.json"
    cut.write_text(json.dumps({name: split[:prompts] for name, split in splits.items()}))
    return model, cut


def main() -> None:
    """Reads the arguments, runs everything by turns, prints the table."""
    parser = argparse.ArgumentParser(description="Compare the procedures side by side.")
    parser.add_argument("--model", default=RANDOM, help=f"a transformers folder, or {RANDOM}")
    parser.add_argument("--workload", type=Path, help='JSON {"dev": [prompts], "test": [prompts]}')
    parser.add_argument("--dtype", default="float32", help="float32, or float32,bfloat16")
    parser.add_argument("--procedures", default="published,floor,floor-grouped")
    parser.add_argument("--prompts", type=int, default=25, help="on dev, and on test")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    dtypes = arguments.dtype.split(",")
    keys = [(name, dtype) for dtype in dtypes for name in arguments.procedures.split(",")]
    with tempfile.TemporaryDirectory() as name:
        model, workload = _prepared(
            arguments.model, arguments.workload, arguments.prompts, Path(name)
        )
        rows = compared(keys, model, workload, arguments.repeats)
    print(table(rows, REFERENCE if REFERENCE in rows else keys[0]))


if __name__ == "__main__":
    main()

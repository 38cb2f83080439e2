"""Peak memory of a sweep by the number of test prompts, of shots, and of tokens; flat or not?

usage: python -m tests.benchmarks.peak_memory [--model gemma-3-270m] [--dtype bfloat16]
Each line is a fresh process, with the batch size that is chosen by itself.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

TASK = "present_simple_gerund"
CASES = {  # test prompts, shots, layers; the last has prompts of more than 2,000 tokens
    "50 prompts, 5 shots": (50, 5, "all"),
    "400 prompts, 5 shots": (400, 5, "all"),
    "50 prompts, 50 shots": (50, 50, "all"),
    "4 prompts, 450 shots": (4, 450, "8:12"),
}
HEAD = "| case | longest prompt | batch | peak GB | beside the first | s |"


def measure(reference: str, dtype: str, case: str) -> dict[str, Any]:
    """Peak memory of one sweep, in this process."""
    from time import perf_counter

    from icl_vectors.cost.plan import plan_sweep
    from icl_vectors.experiments.sweep import SweepConfig, sweep
    from icl_vectors.models.load import load_model
    from icl_vectors.models.memory import peak_bytes
    from icl_vectors.tasks.task import Task

    prompts, shots, layers = CASES[case]
    task: Any = TASK
    if shots > 100:  # more pairs than any built-in task has
        task = Task.from_pairs("numbers", {f"{i}": f"{i + 1}" for i in range(1000)})
    settings: dict[str, Any] = {"tasks": [task], "test": prompts, "dev": 4, "shots": shots}
    planned = plan_sweep(reference, SweepConfig(layers=layers, **settings), dtypes=[dtype])
    model = load_model(reference, dtype=dtype)
    for weight in model.nnsight._module.parameters():
        weight.view(-1)[::512].sum()  # files that are mapped count only when they are read
    start = perf_counter()
    sweep(model, layers=layers, **settings)
    return {
        "tokens": planned["longest_prompt"],
        "batch": planned["dtypes"][0]["places"][-1]["batch_size"],
        "peak": peak_bytes(model),
        "seconds": perf_counter() - start,
    }


def main() -> None:
    """Measures every case and prints the table."""
    parser = argparse.ArgumentParser(description="Is peak memory flat?")
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--case", choices=CASES, help="in this process, as JSON")
    arguments = parser.parse_args()
    if arguments.case:
        return print(json.dumps(measure(arguments.model, arguments.dtype, arguments.case)))
    print(HEAD, "|---|---:|---:|---:|---:|---:|", sep="\n", flush=True)
    first = None
    for case in CASES:
        words = ["--model", arguments.model, "--dtype", arguments.dtype, "--case", case]
        command = [sys.executable, "-m", "tests.benchmarks.peak_memory", *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        first = first or found["peak"]
        print(
            f"| {case} | {found['tokens']} | {found['batch']} | {found['peak'] / 1e9:.2f} | "
            f"{found['peak'] / first:.2f} | {found['seconds']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

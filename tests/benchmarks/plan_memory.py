"""`plan` against what a sweep really takes: peak memory and time, a fresh process for each.

usage: python -m tests.benchmarks.plan_memory [--models A,B,C] [--dtypes float32,bfloat16]
Without --models: gemma-3-270m, smollm2-135m and a random Llama of 24 blocks of width 512.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

TASK = "country_capital"
RANDOM = "random"
HEAD = "| model | dtype | planned GB | measured GB | ratio | planned s | measured s | ratio |"


def measure(reference: str, dtype: str, prompts: int) -> dict[str, Any]:
    """Planned and measured peak memory and time of one task, in this process."""
    from icl_vectors.cost.plan import plan_sweep
    from icl_vectors.experiments.sweep import SweepConfig, sweep
    from icl_vectors.models.load import load_model
    from icl_vectors.models.memory import forget_peak, peak_bytes

    settings: dict[str, Any] = {"tasks": TASK, "dev": prompts, "test": prompts}
    model = load_model(reference, dtype=dtype)
    planned = plan_sweep(
        reference, SweepConfig(batch_size=25, **settings), dtypes=[dtype], calibrate=True
    )
    place = planned["dtypes"][0]["places"][-1]
    for weight in model.nnsight._module.parameters():
        weight.view(-1)[::512].sum()  # files that are mapped count only when they are read
    forget_peak(model)
    start = perf_counter()
    sweep(model, batch_size=25, **settings)
    return {
        "model": reference,
        "dtype": dtype,
        "planned": place["peak_bytes"],
        "measured": peak_bytes(model),
        "planned_seconds": planned["dtypes"][0]["seconds"]["estimated"],
        "measured_seconds": perf_counter() - start,
    }


def row(found: dict[str, Any]) -> str:
    """One line of the table."""
    bytes_ratio = found["planned"] / found["measured"]
    time_ratio = found["planned_seconds"] / found["measured_seconds"]
    return (
        f"| {Path(found['model']).name} | {found['dtype']} | {found['planned'] / 1e9:.2f} | "
        f"{found['measured'] / 1e9:.2f} | {bytes_ratio:.2f} | {found['planned_seconds']:.0f} | "
        f"{found['measured_seconds']:.0f} | {time_ratio:.2f} |"
    )


def main() -> None:
    """Measures every model in every dtype and prints the table."""
    parser = argparse.ArgumentParser(description="Plan against measurement.")
    parser.add_argument("--models", default=f"gemma-3-270m,smollm2-135m,{RANDOM}")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--one", action="store_true", help="in this process, as JSON")
    arguments = parser.parse_args()
    models, dtypes = arguments.models.split(","), arguments.dtypes.split(",")
    if arguments.one:
        return print(json.dumps(measure(models[0], dtypes[0], arguments.prompts)))
    print(HEAD, "|---|---|---:|---:|---:|---:|---:|---:|", sep="\n", flush=True)
    with TemporaryDirectory() as place:
        for reference in models:
            folder = _random(Path(place)) if reference == RANDOM else reference
            for dtype in dtypes:
                print(row(_in_process(folder, dtype, arguments.prompts)), flush=True)


def _in_process(reference: str, dtype: str, prompts: int) -> dict[str, Any]:
    words = ["--one", "--models", reference, "--dtypes", dtype, "--prompts", str(prompts)]
    command = [sys.executable, "-m", "tests.benchmarks.plan_memory", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _random(place: Path) -> str:
    from tests.benchmarks.random_model import random_llama
    from tests.tiny import bytes_tokenizer, save_model

    model = random_llama(
        n_layers=24, hidden=512, heads=8, intermediate=1376, n_tokens=1000, seed=41
    )
    return str(save_model(place / "random-llama-24x512", model, bytes_tokenizer()))


if __name__ == "__main__":
    main()

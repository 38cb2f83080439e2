"""Runs one procedure on one workload in this process and prints one JSON line of what it cost.

usage: python -m tests.benchmarks.measure PROCEDURE MODEL_FOLDER WORKLOAD.json --dtype float32
A procedure is a module with `run(model, tokenizer, dev, test, **options) -> Result`; one that
opens models in its own way also has `load(folder, dtype) -> Loaded`.
"""

import argparse
import importlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Procedure:
    """Where a procedure is found, and the options it is run with."""

    module: str
    options: dict[str, Any] = field(default_factory=dict)


PROCEDURES = {
    "published": Procedure("tests.benchmarks.published"),
    "floor": Procedure("tests.benchmarks.floor"),
    "floor-grouped": Procedure("tests.benchmarks.floor", {"group_size": 6, "query_on_dev": False}),
    "package": Procedure("tests.benchmarks.package"),
}


class Loaded(NamedTuple):
    """A model as `run` takes it, its tokenizer, and the transformers module that is counted."""

    model: Any
    tokenizer: Any
    module: Any


def load(folder: str, dtype: str) -> Loaded:
    """The model of a folder in plain transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    model.eval()
    return Loaded(model, tokenizer, model)


def measure(name: str, folder: str, workload: dict[str, list[Any]], dtype: str) -> dict[str, Any]:
    """The cost and the answers of one procedure, after a warm-up on two prompts."""
    from tests.twins.result import fingerprint

    procedure = PROCEDURES[name]
    module = importlib.import_module(procedure.module)
    loaded = getattr(module, "load", load)(folder, dtype)
    model_mb = _resident_model_mb(loaded.module)
    loading_peak_mb = _peak_mb()
    _forget_peak()
    dev, test = workload["dev"], workload["test"]
    module.run(loaded.model, loaded.tokenizer, dev[:2], test[:2], **procedure.options)
    with counted(loaded.module) as layer_tokens:
        started = time.perf_counter()
        result = module.run(loaded.model, loaded.tokenizer, dev, test, **procedure.options)
        seconds = time.perf_counter() - started
    peak_mb = _peak_mb()
    return {
        "procedure": name,
        "model": folder,
        "dtype": dtype,
        "prompts": [len(dev), len(test)],
        "seconds_work": round(seconds, 3),
        "layer_tokens": sum(layer_tokens),
        "peak_rss_mb": round(max(peak_mb, loading_peak_mb)),
        "peak_rss_over_model_mb": round(peak_mb - model_mb),
        "predictions_sha": fingerprint(result),
        "best_layer": result["best_layer"],
        "accuracy": result["accuracy"],
    }


@contextmanager
def counted(model: Any) -> Iterator[list[int]]:
    """A list that gets the tokens of every block that is run, padding included.

    Counted at the attention, which a block that is skipped does not call.
    """
    from tests.twins.blocks import decoder_blocks

    tokens: list[int] = []

    def count(attention: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        state = inputs[0] if inputs else options["hidden_states"]
        tokens.append(state.shape[0] * state.shape[1])  # (batch, token, hidden)

    attentions = [
        next(
            child
            for name, child in block.named_children()
            if "attn" in name or name.endswith("attention")
        )
        for block in decoder_blocks(model)
    ]
    handles = [
        attention.register_forward_pre_hook(count, with_kwargs=True) for attention in attentions
    ]
    try:
        yield tokens
    finally:
        for handle in handles:
            handle.remove()


def _resident_model_mb(model: Any) -> float:
    """Memory with the model loaded, each weight read once: mapped files count only when read."""
    for weights in model.parameters():
        weights.view(-1)[::512].sum()
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return _peak_mb()
    return int(statm.read_text().split()[1]) * resource.getpagesize() / MEGABYTE


def _forget_peak() -> None:
    """Starts the peak anew on Linux, so that loading in another dtype is not taken for work."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MEGABYTE if sys.platform == "darwin" else 1024)


def main() -> None:
    """Reads the arguments, measures, prints the line."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description="Measure one procedure in its own process.")
    parser.add_argument("procedure", choices=sorted(PROCEDURES))
    parser.add_argument("model", help="a transformers folder")
    parser.add_argument("workload", type=Path, help='JSON {"dev": [prompts], "test": [prompts]}')
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()
    workload = json.loads(arguments.workload.read_text(encoding="utf-8"))
    found = measure(arguments.procedure, arguments.model, workload, arguments.dtype)
    found["seconds_process"] = round(time.perf_counter() - started, 3)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""How many prompts fit: batch sizes from free memory, and the peak that a run reached."""

import ctypes
import gc
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from icl_vectors.errors import RunError
from icl_vectors.models.load import Model
from icl_vectors.models.memory_estimate import bytes_of_prompt, is_out_of_memory
from icl_vectors.observer import Log, silent
from icl_vectors.prompts.encoding import EncodedPrompt

SHARE_OF_FREE = 0.5  # of the memory that is free when the run starts
LARGEST_ON_CPU = 25  # more prompts at once are not faster there, and cost memory
WORK_ON_CPU = 500_000_000  # bytes that a batch may take there, or …
SHARE_OF_WEIGHTS = 0.25  # … this part of a large model's weights
LARGEST_ON_GPU = 256
LARGEST_ON_SERVER = 25  # whose memory is not known here
T = TypeVar("T")


def choose_batch_size(model: Model, prompts: Sequence[EncodedPrompt]) -> int:
    """The number of prompts whose caches, states and logits fit in half of the free memory."""
    if model.host is not None:
        return min(LARGEST_ON_SERVER, len(prompts))
    weights = sum(one.numel() * one.element_size() for one in model.nnsight._module.parameters())
    each, free = _bytes_per_prompt(model, prompts), free_bytes(model)
    return prompts_at_once(each, free, weights, model.device != "cpu", len(prompts))


def prompts_at_once(each: int, free: int, weights: int, gpu: bool, most: int) -> int:
    """How many prompts of `each` bytes run together where `free` bytes are left.

    On a CPU large batches are no faster, so that they stay within a fixed part: peak memory is
    then the same for many prompts as for few, and for long ones as for short ones.
    """
    budget = free * SHARE_OF_FREE
    if not gpu:
        budget = min(budget, max(WORK_ON_CPU, weights * SHARE_OF_WEIGHTS))
    largest = LARGEST_ON_GPU if gpu else LARGEST_ON_CPU
    return max(1, min(largest, int(max(0.0, budget) // each), most))


def free_bytes(model: Model) -> int:
    """Bytes that are free on the device that holds the model."""
    if model.device.startswith("cuda"):
        return torch.cuda.mem_get_info(torch.device(model.device))[0]
    return int(psutil.virtual_memory().available)


def peak_bytes(model: Model) -> int:
    """Peak memory of this process so far: on the GPU that holds the model, or in RAM."""
    if model.device.startswith("cuda"):
        return sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def release() -> None:
    """Give back what models that are no longer referred to still hold, before another is opened."""
    gc.collect()  # nnsight's envoys refer to each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)  # glibc keeps freed memory otherwise


def forget_peak(model: Model) -> None:
    """Start the peak anew, so that what an earlier model took in this process is not this one's.

    In RAM on Linux only; elsewhere the peak is that of the whole process.
    """
    release()  # what loading left behind is not the run's either
    if model.device.startswith("cuda"):
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        with suppress(OSError):  # a container may forbid it: then as elsewhere
            clear.write_text("5")


def with_smaller_batches(
    run: Callable[[int], T], batch_size: int, log: Log = silent
) -> tuple[T, int]:
    """Call `run(batch_size)`, halving the batch as long as memory runs out.

    Returns:
        What `run` returned, and the batch size that it had then.

    Raises:
        RunError: not even one prompt fits.
    """
    while True:
        try:
            return run(batch_size), batch_size
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if batch_size == 1:
                raise RunError(
                    "out of memory with a single prompt; try --dtype bfloat16 or nf4, "
                    "fewer --shots, or --device-map auto."
                ) from error
        torch.cuda.empty_cache()
        batch_size //= 2
        log(f"Out of memory: retrying with batches of {batch_size} prompts.")


def _bytes_per_prompt(model: Model, prompts: Sequence[EncodedPrompt]) -> int:
    """What one prompt of a batch needs at most, while its suffixes or its sweep run."""
    architecture = replace(model.architecture, keeps_cache=model.way.cached, hidden=model.hidden)
    return bytes_of_prompt(model.nnsight._module, architecture, model.dtype, prompts)

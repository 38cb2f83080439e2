"""Reading weights: from safetensors alone, once, in the dtype that was chosen, whole.

transformers may retry in float32, read pickled files, apply an adapter that is in the same folder,
and fill missing weights with random numbers; none of this happens here.
"""

import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from icl_vectors.errors import IclVectorsError, RunError, first_line
from icl_vectors.models.architecture import Architecture, stated, text_config
from icl_vectors.models.dtypes import QUANTISED, loading_options, quantised_as
from icl_vectors.models.memory_estimate import is_out_of_memory
from icl_vectors.models.source import cannot_load

LACKS = re.compile(r"require|install|GPU|CUDA|XPU|MPS|accelerator|not supported", re.IGNORECASE)
PACKAGES = {"quark": "amd-quark", "hqq": "hqq", "torchao": "torchao", "sinq": "sinq"}  # by method
BAR_AFTER = 2  # seconds
NO_ADAPTER = "no-adapter"  # a folder that no checkpoint has: transformers finds no adapter there
PACKED = {torch.uint8, torch.int8, torch.int32, torch.float8_e4m3fn, torch.float8_e5m2}


def read_weights(
    reference: str,
    source: str,
    meta: Any,
    architecture: Architecture,
    *,
    dtype: str,
    placement: Any,
    revision: str | None,
) -> Any:
    """The module of `meta`, a model on the meta device, with the weights of a checkpoint.

    Raises:
        IclVectorsError: the weights can't be read, some are missing or have other shapes, or they
            are held in another dtype than `dtype`.
        RunError: they do not fit in memory.
    """
    try:
        with silent_transformers():
            module, info = type(meta).from_pretrained(
                source,
                config=meta.config,
                revision=revision,
                device_map=placement,
                use_safetensors=True,
                adapter_kwargs={"subfolder": NO_ADAPTER},
                ignore_mismatched_sizes=True,  # refused below, with both shapes
                output_loading_info=True,
                **loading_options(dtype, meta.config),
            )
    except Exception as error:
        raise _explained(reference, dtype, quantised_as(meta.config), error) from error
    _require_whole(reference, text_config(meta.config), architecture, info)
    held = held_dtype(module, dtype)
    mend = f"use --dtype {held}, or another --device"
    if quantised_as(meta.config):
        mend = "mend quantization_config in its config.json"
    if held != dtype and quantised_as(meta.config) in (None, *QUANTISED):
        raise IclVectorsError(
            f"model {reference!r}: expected weights in {dtype}, found them in {held} after "
            f"loading; {mend}."
        )
    return module


def held_dtype(module: Any, quantisation: str) -> str:
    """The dtype that most weights are held in; `quantisation` where any are packed."""
    tensors = [*module.parameters(), *module.buffers()]
    if any(one.dtype in PACKED and one.dim() >= 2 for one in tensors):
        return quantisation
    counts: Counter[str] = Counter()
    for one in module.parameters():
        counts[str(one.dtype).removeprefix("torch.")] += one.numel()
    return counts.most_common(1)[0][0]


def _explained(reference: str, dtype: str, quantisation: str | None, error: Exception) -> Exception:
    """The message for an error while weights are read; a bug stays as it is."""
    if is_out_of_memory(error):
        return RunError(
            f"model {reference!r} does not fit in memory in {dtype} ({first_line(error)}); "
            "try --dtype nf4 or --device-map auto."
        )
    if "cannot be loaded with `safetensors`" in str(error):
        offline = constants.HF_HUB_OFFLINE
        found = "none in the local cache (HF_HUB_OFFLINE is set)" if offline else "none there"
        return IclVectorsError(
            f"model {reference!r}: expected its weights as model.safetensors, or in shards with "
            f"model.safetensors.index.json, found {found}; pickled weights are never read."
        )
    said = first_line(error, 250)
    if quantisation and (isinstance(error, ImportError) or LACKS.search(said)):
        package = PACKAGES.get(quantisation, "")
        cure = f"pip install {package}, or " if package and "pip install" not in said else ""
        return IclVectorsError(
            f"model {reference!r}: expected {quantisation} weights that can be loaded here, found "
            f"that they can not be ({said}); {cure}give a checkpoint that is not quantised."
        )
    known = (OSError, ValueError, ImportError, KeyError, RuntimeError, TypeError, SafetensorError)
    return cannot_load(reference, "weights", error) if isinstance(error, known) else error


def _require_whole(
    reference: str, config: Any, architecture: Architecture, info: Mapping[str, Any]
) -> None:
    """Refuse weights that are missing, have other shapes, or belong to further blocks.

    Raises:
        IclVectorsError: naming one of them.
    """
    if wrong := sorted(info["mismatched_keys"]):
        name, found, expected = wrong[0]
        raise IclVectorsError(
            f"model {reference!r}: expected {name} of shape {tuple(expected)} by its config.json, "
            f"found {tuple(found)} in its weights; use both of the same checkpoint."
        )
    if info["missing_keys"]:
        raise IclVectorsError(
            f"model {reference!r}: expected all weights that its config.json describes, found "
            f"no {min(info['missing_keys'])}; fetch the checkpoint again, or mend its config.json."
        )
    further = stated(config, "num_nextn_predict_layers") or 0
    count, path = len(architecture.blocks) + further, architecture.blocks[0].removesuffix(".0")
    surplus = [key for key in info["unexpected_keys"] if _block_of(key, path) >= count]
    if surplus:
        raise IclVectorsError(
            f"model {reference!r}: expected the {count} blocks of its config.json, found "
            f"weights of more ({min(surplus)}); mend its config.json."
        )


def _block_of(key: str, path: str) -> int:
    """The block of a weight such as model.layers.3.mlp.weight; −1 for one of no block."""
    found = re.match(re.escape(path) + r"\.(\d+)\.", key)
    return int(found.group(1)) if found else -1


@contextmanager
def silent_transformers() -> Iterator[None]:
    """While weights are read: no warnings (what matters is checked after).

    No bar in logs, and in a terminal or notebook one only where reading takes long.

    For a hub id without safetensors transformers would ask a service of the hub to convert it.
    """
    logger = logging.getLogger("transformers")
    level, converts = logger.level, os.environ.get("DISABLE_SAFETENSORS_CONVERSION")
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"
    logger.setLevel(logging.ERROR)
    bars: Any = transformers_logging  # its functions have no types
    set_hook = getattr(bars, "set_tqdm_hook", lambda hook: None)  # which older versions have not
    hook = set_hook(lambda make, given, options: make(*given, **{**options, "delay": BAR_AFTER}))
    shows_bars = bars.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        bars.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        set_hook(hook)
        if shows_bars:
            bars.enable_progress_bar()
        if converts is None:
            del os.environ["DISABLE_SAFETENSORS_CONVERSION"]

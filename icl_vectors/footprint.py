"""What a model takes in memory, told from its shapes: weights, caches, states, logits.

Works on a module of the meta device (`blueprint`). bitsandbytes quantises linear layers alone:
embeddings, norms, the head and experts held as stacked parameters stay in bfloat16.
"""

import errno
from collections.abc import Mapping
from typing import Any

import psutil
import torch

from icl_vectors.dtypes import QUANTISED
from icl_vectors.errors import IclVectorsError, OutOfMemory

FLOAT32, FLOAT16 = 4, 2
BITS_OF_WEIGHT = {"int8": 8, "nf4": 4, "fp4": 4}
SCALE_OF_BLOCK = {"nf4": FLOAT32 / 64, "fp4": FLOAT32 / 64}  # bytes a weight, one scale in 64
SAID_OUT_OF_MEMORY = (
    "can't allocate memory",
    "annot allocate memory",
    "not enough memory",
    "CUDA out of memory",
    "std::bad_alloc",
)
PLACES = ("auto", "balanced", "balanced_low_0", "sequential")


def width_of(dtype: str) -> int:
    """Bytes of one number of states, caches and what is not quantised."""
    return FLOAT32 if dtype == "float32" else FLOAT16


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or in RAM (torch has no class of its own for RAM)."""
    text = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or any(said in text for said in SAID_OUT_OF_MEMORY)
    )


def weight_bytes(module: Any, dtype: str) -> int:
    """Bytes of all weights in a dtype; tied ones count once."""
    quantised = _linear_weights(module) if dtype in QUANTISED else set()
    total = 0.0
    for key, parameter in {id(one): one for one in module.parameters()}.items():
        if key in quantised:
            rows = parameter.shape[0] * FLOAT32 if dtype == "int8" else 0
            per_weight = BITS_OF_WEIGHT[dtype] / 8 + SCALE_OF_BLOCK.get(dtype, 0)
            total += parameter.numel() * per_weight + rows
        else:
            total += parameter.numel() * width_of(dtype)
    return int(total)


def cache_bytes_of_token(config: Any, n_layers: int, dtype: str) -> int:
    """Bytes that one token leaves in the key-value caches of all blocks."""
    if getattr(config, "kv_lora_rank", None):  # deepseek: keys and values, expanded
        heads = config.num_attention_heads
        size = config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim
        return int(n_layers * heads * size * width_of(dtype))
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    if getattr(config, "multi_query", False):
        heads = 1
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * n_layers * heads * size * width_of(dtype))


def bytes_of_prompt(
    config: Any, n_layers: int, dtype: str, tokens: int, suffixes: int, rows: int
) -> int:
    """What one prompt of a batch needs at most, while its suffixes or its sweep run.

    Args:
        tokens: of the longest prompt; suffixes: query and dummies; rows: logits held at once.
    """
    width = width_of(dtype)
    cache = cache_bytes_of_token(config, n_layers, dtype) * tokens * suffixes
    states = tokens * width * (8 * config.hidden_size + 4 * inner_size(config))
    logits = rows * config.vocab_size * (width + 2 * FLOAT32)
    return int(cache + states + logits)


def inner_size(config: Any) -> int:
    """Width of the feed-forward layer; four times the model's where the configuration is silent."""
    for name in ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"):
        if isinstance(size := getattr(config, name, None), int):
            return size
    return 4 * int(config.hidden_size)


def devices_of(placement: Any) -> list[str]:
    """The devices that a device map uses, where they are known before loading."""
    if isinstance(placement, Mapping):
        named = {str(place) for place in placement.values()} - {"disk"}
        return sorted(f"cuda:{place}" if place.isdecimal() else place for place in named)
    if placement in PLACES:
        return ["cuda:0" if torch.cuda.is_available() else "cpu"]
    return [str(placement)]


def memory_of(device: str) -> int:
    """All bytes of a device: its own where it is a GPU, else RAM."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)
    return int(psutil.virtual_memory().total)


def require_fit(reference: str, module: Any, dtype: str, placement: Any) -> None:
    """Refuse weights that are larger than the one device they are to lie on.

    Raises:
        IclVectorsError: saying what they take, what there is, and what takes less.
    """
    if not isinstance(placement, Mapping) or set(placement) != {""}:
        return  # accelerate spreads them
    device = devices_of(placement)[0]
    needed, there = weight_bytes(module, dtype), memory_of(device)
    if needed <= there:
        return
    smaller = weight_bytes(module, "nf4")
    hint = "use --dtype nf4" if smaller < there and dtype not in BITS_OF_WEIGHT else "spread it"
    raise IclVectorsError(
        f"model {reference!r} takes {needed / 1e9:.1f} GB in {dtype}, {device} has "
        f"{there / 1e9:.1f} GB; {hint}, --device-map auto (several GPUs, RAM and disk), or "
        "--remote. `icl-vectors plan` says what fits."
    )


def _linear_weights(module: Any) -> set[int]:
    """Identities of the weights that bitsandbytes quantises."""
    head = module.get_output_embeddings()
    kept = {id(head.weight)} if head is not None else set()
    linear = (torch.nn.Linear,)
    found = {
        id(child.weight)
        for child in module.modules()
        if isinstance(child, linear) or type(child).__name__ == "Conv1D"
    }
    return found - kept

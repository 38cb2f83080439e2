"""What a model takes in memory, estimated from its shapes: weights, caches, states, logits.

Works on a module of the meta device (`meta_model`). bitsandbytes quantises linear layers alone:
embeddings, norms, the head and experts held as stacked parameters stay in bfloat16.
"""

import errno
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
import torch

from icl_vectors.errors import IclVectorsError, OutOfMemory
from icl_vectors.graph.task import GROUP
from icl_vectors.models.architecture import Architecture, stated, text_config
from icl_vectors.models.dtypes import QUANTISED
from icl_vectors.prompts.encoding import EncodedPrompt, longest

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


def cache_bytes_of_token(module: Any, architecture: Architecture, dtype: str) -> int:
    """Bytes that one token leaves in the key-value caches of all blocks."""
    blocks = [module.get_submodule(path) for path in architecture.blocks]
    measured = [_kept_width(block) for block in blocks]
    if all(measured):
        return sum(measured) * width_of(dtype)
    config, count = text_config(module.config), len(blocks)
    heads, hidden = architecture.heads or 1, architecture.hidden
    if stated(config, "kv_lora_rank"):  # deepseek: keys and values, expanded
        names = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
        return count * heads * sum(stated(config, name) or 0 for name in names) * width_of(dtype)
    kept = 1 if getattr(config, "multi_query", False) else stated(config, "num_key_value_heads")
    size = stated(config, "head_dim") or hidden // heads
    return 2 * count * (kept or heads) * size * width_of(dtype)


def _kept_width(block: Any) -> int:
    """Numbers that a block keeps of a token: the widths of its projections to keys and values."""
    return sum(
        child.out_features
        for name, child in block.named_modules()
        if name.rpartition(".")[2] in ("k_proj", "v_proj") and hasattr(child, "out_features")
    )


def bytes_of_prompt(
    module: Any, architecture: Architecture, dtype: str, prompts: Sequence[EncodedPrompt]
) -> int:
    """What one prompt of a batch needs at most, while its suffixes or its sweep run."""
    tokens = longest(prompts)
    suffixes = max(len(one.suffixes) for one in prompts)
    rows = max(suffixes, GROUP)  # of logits held at once
    width, hidden = width_of(dtype), architecture.hidden
    inner = inner_size(text_config(module.config), hidden)
    cache = cache_bytes_of_token(module, architecture, dtype) * tokens * suffixes
    states = tokens * width * (8 * hidden + 4 * inner)
    logits = rows * module.get_output_embeddings().weight.shape[0] * (width + 2 * FLOAT32)
    if not architecture.keeps_cache:
        return int(states * max(suffixes, rows) + logits)
    return int(cache + states + logits)


def inner_size(config: Any, hidden: int) -> int:
    """Width of the feed-forward layer; four times the model's where the configuration is silent."""
    for name in ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"):
        if size := stated(config, name):
            return size
    return 4 * hidden


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

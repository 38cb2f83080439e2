"""Where a decoder keeps its blocks and its head, for every architecture of transformers."""

import inspect
from dataclasses import dataclass
from typing import Any

from icl_vectors.errors import IclVectorsError

STATE_SPACE = ("mamba", "rwkv", "falcon_h1", "jamba", "zamba", "bamba", "recurrent_gemma", "xlstm")


@dataclass(frozen=True)
class Architecture:
    """Paths, from the model's root, of the decoder blocks and the unembedding.

    Attributes:
        blocks: path of each decoder block, from the embedding up.
        head: path of the unembedding; its input is the normed state.
        takes_positions: whether forward accepts `position_ids` (bloom and mpt don't).
    """

    blocks: tuple[str, ...]
    head: str
    takes_positions: bool


def find_architecture(module: Any) -> Architecture:
    """The architecture of a causal language model of transformers (weights are not needed).

    Raises:
        IclVectorsError: the model is an encoder–decoder, keeps no key-value cache (state-space
            models), or its blocks or head can't be told.
    """
    config = module.config.get_text_config()
    kind = config.model_type
    require_decoder(config)
    _require_cache(module, kind)
    count = config.num_hidden_layers
    names = {id(child): name for name, child in module.named_modules()}
    lists = [name for name, child in module.named_modules() if _is_block_list(child, count)]
    head = module.get_output_embeddings()
    if len(lists) != 1 or head is None:
        raise IclVectorsError(
            f"model type {kind!r}: expected one list of {count} decoder blocks and an unembedding, "
            f"found {len(lists)} such lists and {'a' if head is not None else 'no'} head."
        )
    return Architecture(
        blocks=tuple(f"{lists[0]}.{layer}" for layer in range(count)),
        head=names[id(head)],
        takes_positions="position_ids" in inspect.signature(module.forward).parameters,
    )


def require_decoder(config: Any) -> None:
    """Refuse what the configuration alone shows to be no decoder with a key-value cache.

    Raises:
        IclVectorsError: naming the model type and what was expected.
    """
    config = config.get_text_config()
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise _refused(kind, "is an encoder–decoder")
    if kind.startswith(STATE_SPACE):
        raise _refused(kind, "has no key-value cache (a state-space model)")
    if getattr(config, "num_kv_shared_layers", 0):
        raise _refused(kind, "has blocks that share the keys and values of others")
    if getattr(config, "is_decoder", True) is False and hasattr(config, "type_vocab_size"):
        raise _refused(kind, "is an encoder")


def _require_cache(module: Any, kind: str) -> None:
    if getattr(module, "_is_stateful", False):
        raise _refused(
            kind, "has no key-value cache alone (a state-space or linear-attention model)"
        )
    if not {"past_key_values", "cache"} & set(inspect.signature(module.forward).parameters):
        raise _refused(kind, "takes no cache")


def _refused(kind: str, what: str) -> IclVectorsError:
    return IclVectorsError(
        f"model type {kind!r} {what}; expected a decoder-only transformer "
        "whose blocks each keep keys and values."
    )


def _is_block_list(module: Any, count: int) -> bool:
    if type(module).__name__ != "ModuleList" or len(module) != count:
        return False
    children = [name for name, _ in module[0].named_children()]
    return any("attn" in name or "attention" in name for name in children)

"""Where a decoder keeps its blocks and its head, for every architecture of transformers."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from icl_vectors.errors import IclVectorsError

ROWS, TOKENS = 2, 7  # of the forward pass that shows the order of blocks
ASKS_IS_DECODER = re.compile(
    r"if (self\.)?config\.is_decoder|self\.is_decoder = config\.is_decoder"
)


@dataclass(frozen=True)
class Architecture:
    """Paths, from the model's root, of the decoder blocks and the unembedding.

    Attributes:
        blocks: path of each decoder block, from the embedding up, as a forward pass runs them: a
            model with loops has the path of a block once for each of its runs.
        head: path of the unembedding; its input is the normed state.
        takes_positions: whether forward accepts `position_ids` (bloom and mpt don't).
        hidden: width of the residual stream.
        heads: attention heads of a block; 0 where the configuration states none.
        keeps_cache: whether the module claims keys and values alone to be what it keeps of a
            prompt; what an open model does is measured, see `icl_vectors.models.probe`.
    """

    blocks: tuple[str, ...]
    head: str
    takes_positions: bool
    hidden: int = 0
    heads: int = 0
    keeps_cache: bool = True

    @property
    def has_loops(self) -> bool:
        """Whether a block runs several times in a forward pass."""
        return len(set(self.blocks)) < len(self.blocks)


def find_architecture(module: Any) -> Architecture:
    """The architecture of a causal language model of transformers (weights are not needed).

    Of a model of text and images it is that of the language part.

    Raises:
        IclVectorsError: the model is an encoder or an encoder–decoder, or its blocks or head
            can't be found.
    """
    config = require_decoder(module.config)
    names = {id(child): name for name, child in module.named_modules()}
    head = module.get_output_embeddings()
    count, found = stated(config, "num_hidden_layers"), dict(_block_lists(module, config))
    lists = [name for name, blocks in found.items() if len(blocks) == count] or list(found)
    loops = len(lists) > 1 and count and count > sum(len(found[name]) for name in lists)
    if not (len(lists) == 1 or loops) or head is None:
        raise IclVectorsError(
            f"model type {config.model_type!r}: expected one list of {count} decoder blocks and an "
            f"unembedding, found {len(lists)} such lists and "
            f"{'a' if head is not None else 'no'} head."
        )
    blocks = [
        (f"{one}.{name}", block) for one in lists for name, block in found[one].named_children()
    ]
    arguments = inspect.signature(module.forward).parameters
    alone = not getattr(module, "_is_stateful", False) and bool(
        {"past_key_values", "cache"} & set(arguments)
    )
    return Architecture(
        blocks=tuple(path for path, block in blocks if not _of_images(block)),
        head=names[id(head)],
        takes_positions="position_ids" in arguments,
        hidden=stated(config, "hidden_size") or module.get_input_embeddings().weight.shape[1],
        heads=stated(config, "num_attention_heads") or 0,
        keeps_cache=alone and not stated(config, "num_kv_shared_layers"),
    )


@dataclass(frozen=True)
class BlockRun:
    """One run of a block in a forward pass: its path, and the shapes of what it takes and gives."""

    path: str
    taken: tuple[int, ...]
    given: tuple[int, ...] = ()


def block_runs(module: Any, paths: tuple[str, ...], **options: Any) -> tuple[list[BlockRun], Any]:
    """The runs of some blocks, in order, in a forward pass of ROWS × TOKENS tokens, on any device.

    Returns:
        The runs, and the error that ended the pass, or None.
    """
    runs: list[BlockRun] = []

    def before(path: str) -> Callable[..., None]:
        def hook(block: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            state = next(one for one in (*given, *named.values()) if torch.is_tensor(one))
            runs.append(BlockRun(path, tuple(state.shape)))

        return hook

    def after(block: Any, given: tuple[Any, ...], output: Any) -> None:
        state = output[0] if isinstance(output, tuple | list) else output
        runs[-1] = replace(runs[-1], given=tuple(state.shape))

    handles = []
    for path in dict.fromkeys(paths):
        block = module.get_submodule(path)
        handles.append(block.register_forward_pre_hook(before(path), with_kwargs=True))
        handles.append(block.register_forward_hook(after))
    tokens = torch.full((ROWS, TOKENS), 5, device=next(module.parameters()).device)
    error = None
    try:
        with torch.no_grad():
            module(input_ids=tokens, **options)
    except Exception as raised:  # whatever a model says that does not take text alone
        error = raised
    finally:
        for handle in handles:
            handle.remove()
    return runs, error


def on_meta(module: Any, architecture: Architecture) -> tuple[Architecture, list[BlockRun]]:
    """The architecture as a forward pass without weights runs it, as far as that goes."""
    # without a cache, transformers reads values to find packed rows
    runs, error = block_runs(module, architecture.blocks, use_cache=True)
    return (architecture if error else as_run(architecture, runs)), runs


def as_run(architecture: Architecture, runs: list[BlockRun]) -> Architecture:
    """The architecture with its blocks in the order of their runs, of which there may be several.

    Models with loops run whole prompts: their caches hold a place for each run.
    """
    paths = tuple(run.path for run in runs)
    if len(paths) <= len(architecture.blocks) or {*paths} != {*architecture.blocks}:
        return architecture
    return replace(architecture, blocks=paths, keeps_cache=False)


def stated(config: Any, name: str) -> int | None:
    """A whole number that a configuration states once for all blocks, else None."""
    try:
        value = getattr(config, name, None)
    except Exception:  # transformers raises where blocks differ in it
        return None
    return value if isinstance(value, int) else None


def text_config(config: Any) -> Any:
    """The part of a configuration that is about text.

    Raises:
        IclVectorsError: there are several.
    """
    try:
        return config.get_text_config()
    except ValueError as error:
        raise _refused(config.model_type, "has several text models") from error


def require_decoder(config: Any) -> Any:
    """Refuse what the configuration alone shows to be no decoder; gives its part about text.

    Raises:
        IclVectorsError: naming the model type and what was expected.
    """
    text = text_config(config)
    if getattr(text, "is_encoder_decoder", False) or getattr(config, "is_encoder_decoder", False):
        raise _refused(text.model_type, "is an encoder–decoder")
    if getattr(text, "is_decoder", True) is False and _is_encoder(text):
        raise _refused(text.model_type, "is an encoder (is_decoder is false)")
    return text


def _is_encoder(config: Any) -> bool:
    """Whether a type of model is a decoder only where its configuration says `is_decoder`."""
    from transformers import MODEL_MAPPING

    models: Any = MODEL_MAPPING
    if type(config) not in models:
        return False
    made = models[type(config)]
    module = inspect.getmodule(made[0] if isinstance(made, tuple) else made)
    return module is not None and bool(ASKS_IS_DECODER.search(inspect.getsource(module)))


def _block_lists(module: Any, config: Any) -> Iterator[tuple[str, Any]]:
    """Outermost lists of modules that have parts, in what the text configuration describes."""
    within: list[str] = []
    owners = {"": module.config}
    for name, child in module.named_modules():
        parent = name.rpartition(".")[0]
        owner = owners.get(parent, module.config)
        owners[name] = getattr(child, "config", None) or owner
        inside = any(name.startswith(f"{one}.") for one in within)
        if inside or type(child).__name__ != "ModuleList" or not len(child):
            continue
        within.append(name)
        about = getattr(owner, "model_type", None)
        if about in (config.model_type, module.config.model_type) and _has_parts(child):
            yield name, child


def _of_images(block: Any) -> bool:
    """Whether a block attends to images alone, so that text passes it by (mllama)."""
    parts = [name for name, _ in block.named_children()]
    return "cross_attn" in parts and "self_attn" not in parts


def _has_parts(blocks: Any) -> bool:
    return all(len(list(block.children())) > 1 for block in blocks)


def _refused(kind: str, what: str) -> IclVectorsError:
    return IclVectorsError(f"model type {kind!r} {what}; expected a decoder-only language model.")

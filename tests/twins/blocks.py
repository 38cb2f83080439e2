"""The decoder blocks of a transformers model, and forward hooks on what they put out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Change = Callable[[int, Tensor], None]
LOOPS = ("dory", "hrm_text")  # whose blocks run several times in a pass


def decoder_blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The decoder's outermost `ModuleList` whose length is the number of blocks that it states.

    Raises:
        ValueError: if there is none.
    """
    n_layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    whole: Any = model  # its methods have no types
    decoder = whole.get_decoder()
    modules = [*(decoder.named_modules() if decoder is not None else ()), *model.named_modules()]
    lists = [
        module
        for name, module in modules
        if isinstance(module, nn.ModuleList) and "image_encoder" not in name
    ]
    for module in lists:
        if len(module) == n_layers:
            on_text = [block for block in module if not _of_images(block)]
            return module if len(on_text) == len(module) else nn.ModuleList(on_text)
    within = {id(part) for module in lists for part in module.modules() if part is not module}
    outer = [one for one in dict.fromkeys(lists) if id(one) not in within]
    if n_layers and n_layers > sum(map(len, outer)):  # stacks that run several times
        return nn.ModuleList(block for module in outer for block in module)
    if lists:
        return lists[0]
    raise ValueError(f"expected a ModuleList of {n_layers} blocks, found none")


def _of_images(block: nn.Module) -> bool:
    """Whether text passes a block by, which attends to images alone (mllama)."""
    return hasattr(block, "cross_attn") and not hasattr(block, "self_attn")


def residual(output: Any) -> Tensor:
    """A block's state; some families put it first in a tuple, gemma3n parallel streams first."""
    state: Tensor = output[0] if isinstance(output, tuple | list) else output
    if state.dim() == 4 and state.shape[1] == 1 != state.shape[0]:
        return state.movedim(0, 2)
    return state  # (batch, token, hidden), or (batch, token, stream, hidden)


@contextmanager
def watched(model: PreTrainedModel, see: Change) -> Iterator[None]:
    """Calls `see(layer, state)` after every run of a block; what it writes into the state stays.

    With loops a layer is a run of a block, counted in the order of the pass.
    """
    runs = count()
    loops = model.config.model_type in LOOPS

    def begin(module: nn.Module, inputs: Any) -> None:
        nonlocal runs
        runs = count()

    def hook_of(place: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(block: nn.Module, inputs: Any, output: Any) -> None:
            see(next(runs) if loops else place, residual(output))

        return hook

    blocks = decoder_blocks(model)
    handles = [block.register_forward_hook(hook_of(i)) for i, block in enumerate(blocks)]
    handles.append(model.register_forward_pre_hook(begin))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def count_layers(model: PreTrainedModel) -> int:
    """How many times blocks run in a forward pass."""
    seen: list[int] = []
    with watched(model, lambda layer, state: seen.append(layer)):
        model(input_ids=torch.tensor([[1, 7, 9, 3]], device=model.device), use_cache=False)
    return len(seen)


@contextmanager
def recorded(model: PreTrainedModel, read: Callable[[Tensor], Tensor]) -> Iterator[list[Tensor]]:
    """A list that gets `read(state)` of every block, in order, during the forward passes inside."""
    states: list[Tensor] = []
    with watched(model, lambda layer, state: states.append(read(state))):
        yield states


@contextmanager
def replaced(model: PreTrainedModel, layer: int, vectors: Tensor) -> Iterator[None]:
    """Block `layer` puts out `vectors`, (hidden) or (batch, hidden), at the last position."""

    def put(index: int, state: Tensor) -> None:
        if index == layer:
            given = vectors.to(state.dtype)
            state[:, -1] = given.reshape(*given.shape[:-1], *state.shape[2:])

    with watched(model, put):
        yield

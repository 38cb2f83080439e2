"""Plain twins of the methods: one prompt at a time, whole, no padding, no cache, forward hooks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.twins.blocks import decoder_blocks, watched
from tests.twins.plain import forward, logits, theta

PROJECTIONS = {
    "llama": "self_attn.o_proj",
    "gemma3_text": "self_attn.o_proj",
    "gpt2": "attn.c_proj",
    "gptj": "attn.out_proj",
    "bloom": "self_attention.dense",
}
Positions = Sequence[int]


def projections(model: PreTrainedModel) -> list[nn.Module]:
    """The output projection of each block's attention."""
    name = PROJECTIONS[model.config.model_type]
    return [block.get_submodule(name) for block in decoder_blocks(model)]


def weight_of(projection: nn.Module) -> Tensor:
    """(hidden, width), whichever way the family keeps it (gpt2 transposes)."""
    weight: Any = projection.weight
    found: Tensor = weight.T if type(projection).__name__ == "Conv1D" else weight
    return found


@contextmanager
def hooked(
    modules: Sequence[nn.Module], change: Callable[[int, Tensor], None], before: bool
) -> Iterator[None]:
    """Calls `change(layer, tensor)` on what goes into or comes out of each module."""
    with ExitStack() as stack:
        for layer, module in enumerate(modules):

            def into(_: nn.Module, given: Any, layer: int = layer) -> None:
                change(layer, given[0])

            def out(_: nn.Module, given: Any, output: Any, layer: int = layer) -> None:
                change(layer, output)

            handle = (
                module.register_forward_pre_hook(into)
                if before
                else module.register_forward_hook(out)
            )
            stack.callback(handle.remove)
        yield


def heads_at(model: PreTrainedModel, ids: list[int]) -> tuple[Tensor, Tensor]:
    """At the last token: the heads' outputs, (layer, width), the attention's, (layer, hidden)."""
    heads: list[Tensor] = []
    attention: list[Tensor] = []
    of = projections(model)
    with (
        hooked(of, lambda _, given: heads.append(given[0, -1].clone()), before=True),
        hooked(of, lambda _, given: attention.append(given[0, -1].clone()), before=False),
    ):
        logits(model, ids)
    return torch.stack(heads), torch.stack(attention)


def with_head(
    model: PreTrainedModel, ids: list[int], layer: int, head: int, mean: Tensor
) -> Tensor:
    """Logits where one head's output at the last token is a mean; `mean` is (width,)."""
    size = len(mean) // model.config.num_attention_heads
    part = slice(head * size, (head + 1) * size)

    def patch(index: int, given: Tensor) -> None:
        if index == layer:
            given[0, -1, part] = mean[part]

    with hooked(projections(model), patch, before=True):
        return logits(model, ids)


def head_in_stream(
    model: PreTrainedModel, layer: int, head: int, heads: Tensor, attention: Tensor
) -> Tensor:
    """What one head adds to the residual stream at one token, (hidden,).

    Args:
        heads: (width,); attention: the attention's whole output there, (hidden,).
    """
    size = len(heads) // model.config.num_attention_heads
    part = slice(head * size, (head + 1) * size)
    added = weight_of(projections(model)[layer])[:, part] @ heads[part]
    if model.config.model_type == "gemma3_text":  # a norm stands before the stream
        norm: Any = decoder_blocks(model)[layer].post_attention_layernorm
        root = (attention.pow(2).mean() + norm.eps).sqrt()
        added = added * (1 + norm.weight) / root
    return added


def with_added(
    model: PreTrainedModel, ids: list[int], layer: int, vector: Tensor, at: int = -1
) -> Tensor:
    """Logits where a vector is added to a block's output at one token."""

    def put(index: int, state: Tensor) -> None:
        if index == layer:
            state[0, at] += vector

    with watched(model, put):
        return logits(model, ids)


def with_states_at(
    model: PreTrainedModel, ids: list[int], layer: int, places: Positions, vectors: Tensor
) -> Tensor:
    """Logits where a block's outputs at some tokens become vectors, (place, hidden)."""

    def put(index: int, state: Tensor) -> None:
        if index == layer:
            state[0, list(places)] = vectors

    with watched(model, put):
        return forward(model, ids) if vectors.requires_grad else logits(model, ids)


def trained(
    model: PreTrainedModel,
    pairs: Sequence[tuple[list[int], list[int]]],
    layer: int,
    first: Tensor,
    rate: float,
    most: int,
) -> dict[int, Tensor]:
    """θ after each of `most` steps of torch's own Adam, at one block, (hidden,).

    Args:
        pairs: ids of "query→", and of the tokens that may follow.
    """
    theta_ = first.clone().requires_grad_()
    size = float(first.pow(2).mean().sqrt())
    adam = torch.optim.Adam([theta_], lr=rate * size, betas=(0.9, 0.999), eps=1e-12)
    found = {}
    for step in range(1, most + 1):
        with torch.enable_grad():
            losses = []
            for ids, accepted in pairs:
                scores = with_states_at(model, ids, layer, [-1], theta_[None]).log_softmax(-1)
                losses.append(-scores[accepted].exp().sum().log())
            [theta_.grad] = torch.autograd.grad(torch.stack(losses).mean(), theta_)
        adam.step()
        found[step] = theta_.detach().clone()
    return found


def ridge(states: Tensor, effects: Tensor, strength: float, state: Tensor) -> Tensor:
    """What a ridge regression of effects on states estimates at another state, (hidden,).

    In its primal form, with the map W (hidden, hidden) itself; states and effects are (n, hidden).
    """
    centred, moved = (one.double() - one.double().mean(0) for one in (states, effects))
    variance = centred.pow(2).sum(-1).mean()
    gram = centred.T @ centred + strength * variance * torch.eye(states.shape[1])
    weights = torch.linalg.solve(gram, centred.T @ moved)
    estimated: Tensor = effects.double().mean(0) + (state - states.double().mean(0)) @ weights
    return estimated.float()


def last_states(model: PreTrainedModel, ids: list[int]) -> Tensor:
    """The last token's states at all layers, one after the other, (layer × hidden,)."""
    return theta(model, [ids]).flatten()


def principal_direction(differences: Tensor) -> Tensor:
    """The first right singular vector, pointing with the mean difference, (layer × hidden,)."""
    direction: Tensor = torch.linalg.svd(differences, full_matrices=False).Vh[0]
    return direction if direction @ differences.mean(0) > 0 else -direction


def with_vector_everywhere(model: PreTrainedModel, ids: list[int], vectors: Tensor) -> Tensor:
    """Logits where (layer, hidden) is added to every state, which keeps its norm."""

    def put(index: int, state: Tensor) -> None:
        norms = state.norm(dim=-1, keepdim=True)
        moved = state + vectors[index]
        state[:] = moved / moved.norm(dim=-1, keepdim=True) * norms

    with watched(model, put):
        return logits(model, ids)


def attention_at(model: PreTrainedModel, ids: list[int], place: int) -> Tensor:
    """The attention's output at one token of every block, (layer, hidden)."""
    found: list[Tensor] = []
    of = projections(model)
    with hooked(of, lambda _, given: found.append(given[0, place].clone()), before=False):
        logits(model, ids)
    return torch.stack(found)


def with_attention(
    model: PreTrainedModel, ids: list[int], last: int, vectors: Tensor, at: int = -1
) -> Tensor:
    """Logits where the attention outputs at one token, up to block `last`, are vectors."""

    def put(index: int, output: Tensor) -> None:
        if index <= last:
            output[0, at] = vectors[index]

    with hooked(projections(model), put, before=False):
        return logits(model, ids)

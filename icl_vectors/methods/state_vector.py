"""State vectors (Li et al. 2024, arXiv 2404.11225): attention outputs of the first L blocks.

V is what the attention of each block puts out at the arrow after the demonstrations. Every
demonstration's own arrow gives one more, which has seen fewer demonstrations:

    plain      V of the dummies' arrows
    inner      the mean of V over the arrows ("inner optimization")
    momentum   inner, moved on by the differences of V from arrow to arrow, each counting twice as
               much as the one before it ("momentum optimization")

At the query's arrow, V replaces the attention outputs of the first L blocks.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import read_query, repeat_rows
from icl_vectors.graph.read import read_arrows_of
from icl_vectors.methods.cost import cost_of_first_blocks
from icl_vectors.methods.method import Candidate, Method, as_made, by_layers

GROUP = 6  # numbers of blocks injected in one trace
FORMS = ("plain", "inner", "momentum")


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """V in its three forms, (prompt, form, layer, hidden)."""
    of_dummies, earlier = read_arrows_of(model, at, batch, "attention")
    plain = of_dummies.mean(1)  # (prompt, layer, hidden)
    shown = earlier[:, 1:]  # before the first demonstration's arrow nothing is demonstrated
    inner = torch.cat([shown, plain[:, None]], 1).mean(1)
    moved = shown[:, 1:] - shown[:, :-1]  # (prompt, step, layer, hidden)
    weights = 2.0 ** torch.arange(moved.shape[1], device=moved.device)
    weights = (weights / weights.sum().clamp(min=1))[:, None, None]
    return torch.stack([plain, inner, inner + (moved * weights).sum(1)], 1)


def inject(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    before: dict[str, Any],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """At the query's arrow, the attention outputs of the first blocks become V's."""
    prompts, rows = batch["prompts"], len(candidates)
    past = copy.deepcopy(before)
    repeat_rows(past, rows)
    arrow = {
        key: value.repeat_interleave(rows, 0) for key, value in batch["arrow"][0]["inputs"].items()
    }
    last = torch.tensor([layer for layer, _ in candidates] * prompts)[:, None]  # (row, 1)
    forms, place = [form for _, form in candidates], batch["arrow"][0]["at"]
    with model.trace(arrow, use_cache=True, **past):
        for layer, projection in enumerate(at["projections"]):
            attention = projection.output  # (row, token, hidden)
            given = vectors[:, forms, layer].flatten(0, 1).to(attention)  # (row, hidden)
            inside = (layer <= last).to(attention.device)
            attention[:, place] = torch.where(inside, given, attention[:, place])
        logits: Tensor = model.output.logits[:, -1].view(prompts, rows, -1)
    return logits


def every_depth_and_form(
    layers: Sequence[int], options: Mapping[str, Any]
) -> list[list[Candidate]]:
    """The last block whose attention is replaced, and a form; plain first."""
    return by_layers(layers, GROUP, tuple(range(len(FORMS))))


STATE_VECTOR = Method(
    name="state-vector",
    mode="attention",
    title="state vector: attention outputs of the first blocks, replaced",
    source="Li et al. 2024, arXiv 2404.11225",
    read=read,
    make=as_made,
    start=read_query,
    inject=inject,
    cost=cost_of_first_blocks,
    candidates=every_depth_and_form,
    attention=True,
    names=("layer", "form"),
    inputs=("demonstration_arrows",),
)

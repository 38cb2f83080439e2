"""In-context vectors (Liu et al. 2023, arXiv 2311.06668): from inputs to outputs, at all layers.

Each demonstration gives the difference between the last state of its output and that of its input,
each read alone, at all layers at once. Their principal direction is added to the states of every
layer and token of the query, which then get their old norms back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import (
    arrow_parts,
    in_order,
    like_state,
    moved_by,
    read_arrows,
    split_rows,
    state_of,
)
from icl_vectors.methods.cost import cost_of_everywhere
from icl_vectors.methods.method import Candidate, Method, as_made, nothing

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)  # of the states' own size


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """The principal direction of the demonstrations' differences, (prompt, layer, hidden).

    Not centred: of unit vectors it has the largest mean squared product with the differences, and
    points with their mean. Its length over all layers is the mean length of the outputs' states.
    """
    prompts = batch["prompts"]
    stacked = read_arrows(model, at, batch["pairs"]).float()
    both = stacked.view(prompts, -1, 2, stacked.shape[1] * stacked.shape[2])  # of input and output
    differences = both[:, :, 1] - both[:, :, 0]  # (prompt, demonstration, layer × hidden)
    _, along = torch.linalg.eigh(differences @ differences.mT)  # ascending
    direction = (along[:, :, -1:].mT @ differences)[:, 0]  # (prompt, layer × hidden)
    direction = direction * (direction * differences.mean(1)).sum(-1, keepdim=True).sign()
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    size = both[:, :, 1].norm(dim=-1).mean(1)[:, None]  # (prompt, 1)
    found: Tensor = (direction * size).view(prompts, stacked.shape[1], -1)
    return found


def inject(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    started: None,
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """At every layer and token of the query: the vector added, the state's norm kept."""
    found, strengths = [], torch.tensor([candidate[0] for candidate in candidates])
    for part, _ in arrow_parts({"arrow": batch["query"]}, {}, len(candidates)):
        own = vectors[part["rows"]]  # (prompt, layer, hidden)
        own = own[:, None] * strengths.to(own.device)[:, None, None]  # (prompt, candidate, …)
        own = own.flatten(0, 1)  # (row, layer, hidden)
        with model.trace(part["inputs"], use_cache=False):
            for layer, block in enumerate(at["blocks"]):
                state = state_of(block.output, part)  # (row, token, hidden)
                added = like_state(own[:, layer].to(state.device), state)
                state[:] = moved_by(state, added[:, None])
            at["head"].input = at["head"].input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(split_rows(logits, -1, len(candidates)))
    return in_order(batch["query"], found)


def every_strength(layers: Sequence[int], options: Mapping[str, Any]) -> list[list[Candidate]]:
    """All layers at once; the weakest first."""
    return [[(strength,) for strength in STRENGTHS]]


ICV = Method(
    name="icv",
    mode="everywhere",
    title="in-context vector: outputs minus inputs, added everywhere",
    source="Liu et al. 2023, arXiv 2311.06668",
    read=read,
    make=as_made,
    start=nothing,
    inject=inject,
    cost=cost_of_everywhere,
    candidates=every_strength,
    names=("strength",),
    inputs=("pairs", "query"),
)

"""Several task vectors at once (Dong et al. 2025, arXiv 2506.09048, "TaskV-M").

The prompt keeps its demonstrations. θ of as many other contexts as it has arrows are injected, one
at
each arrow, all at one block.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import in_order, like_state, state_of
from icl_vectors.graph.read import activation
from icl_vectors.methods.cost import cost_of_few_shot
from icl_vectors.methods.method import Candidate, Method, as_made, by_layers
from icl_vectors.methods.state import read


def start(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> list[Tensor]:
    """The few-shot prompt as it is: the states of all tokens at every block, (prompt, token, h).

    Nothing on the whole path, where every block is run again.
    """
    [*_, part] = batch["whole"]
    if not part["cached"]:
        return []
    with model.trace(part["inputs"], use_cache=False):
        states = []
        for layer in range(len(at["blocks"])):
            states.append(activation(at, layer, "state"))
        at["head"].skip(at["head"].input[:, -1:])
    return states


def inject(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    states: list[Tensor],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """At one block, the states of all arrows of the few-shot prompt become vectors.

    On the cached path the blocks up to that one are not run again.

    Args:
        vectors: (prompt, arrow, layer, hidden).
    """
    blocks, head = at["blocks"], at["head"]
    found = []
    for (layer,) in candidates:
        of_parts = []
        for part in batch["whole"]:
            rows = part["rows"]
            each, arrows = torch.arange(len(rows))[:, None], batch["whole_arrows"][rows]
            given = vectors[rows][:, :, layer]  # (row, arrow, hidden)
            with model.trace(part["inputs"], use_cache=False):
                if part["cached"]:
                    state = states[layer].clone()  # (row, token, hidden)
                    state[each, arrows] = given.to(state)
                    for block in blocks[: layer + 1]:
                        block.skip((state,) if at["in_tuple"] else state)
                else:
                    state = state_of(blocks[layer].output, part)
                    state[each, arrows] = like_state(given.to(state), state)
                head.input = head.input[:, -1:]
                logits = model.output.logits[:, -1]
            of_parts.append(logits)
        found.append(in_order(batch["whole"], of_parts))
    return torch.stack(found, 1)


def every_layer(layers: Sequence[int], options: Mapping[str, Any]) -> list[list[Candidate]]:
    """One candidate a block, all in one group: they share the blocks below."""
    return by_layers(layers, len(layers))


MULTI = Method(
    name="multi",
    title="a θ of another context at every arrow of the few-shot prompt",
    source="Dong et al. 2025, arXiv 2506.09048",
    read=read,
    make=as_made,
    start=start,
    inject=inject,
    cost=cost_of_few_shot,
    candidates=every_layer,
    names=("layer",),
    inputs=("whole", "whole_arrows"),
    pooled=True,
    slots=True,
)

"""What methods read: states, attention outputs or heads, at the arrows of a prompt.

Runs inside a session; see `icl_vectors.methods`. `at` is what `hook_points` gives.
"""

from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import (
    cache_of,
    in_order,
    read_arrow,
    read_query,
    repeat_rows,
    split_rows,
    state_of,
)


def probe_blocks(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    """`at` with what only a forward pass shows: do blocks give tuples, in which dtype, where?"""
    blocks, head = at["blocks"], at["head"]
    [part, *_] = batch["arrow"]
    with model.trace({"input_ids": part["inputs"]["input_ids"]}, use_cache=False):
        output = blocks[0].output
        in_tuple = isinstance(output, tuple | list)
        like = state_of(output, part)[:1, -1].flatten(1)[:, :1]  # (1, 1)
        for block in blocks[1:] if part["cached"] else []:
            block.skip(output)
        head.skip(head.input[:, -1:])
    return {**at, "in_tuple": in_tuple, "like": like}


def activation(at: dict[str, Any], layer: int, what: str) -> Tensor:
    """The activation of one block in a trace on the cached path, (row, token, width).

    Args:
        what: "state", the block's output; "attention", the output of its attention; "heads",
            what the heads put out, side by side, and behind them the norm of the attention's
            output (its root mean square).
    """
    if what == "state":
        output = at["blocks"][layer].output
        state: Tensor = output[0] if at["in_tuple"] else output
        return state
    if what == "attention":
        attention: Tensor = at["projections"][layer].output
        return attention
    heads = at["projections"][layer].input
    size = at["projections"][layer].output.float().pow(2).mean(-1, keepdim=True).sqrt()
    return torch.cat([heads.float(), size.to(heads.device)], -1)


def read_dummies(model: Any, at: dict[str, Any], batch: dict[str, Any], what: str) -> Tensor:
    """Activations at the arrows of "demonstrations dummy→", (prompt, dummy, layer, width)."""
    return read_arrows_of(model, at, batch, what)[0]


def read_arrows_of(
    model: Any, at: dict[str, Any], batch: dict[str, Any], what: str
) -> tuple[Tensor, Tensor]:
    """As `read_dummies`, and activations at the demonstrations' own arrows.

    Returns:
        (prompt, dummy, layer, width) and (prompt, demonstration, layer, width), the latter empty
        where the batch does not say where those arrows are.
    """
    head, layers = at["head"], len(at["blocks"])
    parts = batch["suffixes"]
    prompts, per_prompt, asked = batch["prompts"], batch["per_prompt"], batch["asked"]
    of_shown = batch.get("demonstration_arrows")
    past: dict[str, Any] = {}
    demonstrated = []
    if batch["shared"] is not None:
        with model.trace(batch["shared"], use_cache=True):
            if of_shown is not None:
                for layer in range(layers):
                    own = activation(at, layer, what)
                    each = torch.arange(prompts)[:, None]
                    demonstrated.append(own[each, of_shown].to(at["like"].device).float())
            head.skip(head.input[:, -1:])  # no logits are needed here
            past = cache_of(model.output)
        repeat_rows(past, per_prompt)
    found = []
    for part in parts:
        rows, arrows = torch.arange(len(part["rows"])), part["arrows"]
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            dummies = []
            for layer in range(layers):
                if what == "state":
                    own = state_of(at["blocks"][layer].output, part)[rows, arrows].flatten(1)
                else:
                    own = activation(at, layer, what)[rows, arrows]  # (row, width)
                dummies.append(own.to(at["like"].device).float())
            head.skip(head.input[:, -1:])
        found.append(torch.stack(dummies, 1))  # (row, layer, width)
    of_demonstrations = torch.stack(demonstrated, 2) if demonstrated else torch.empty(0)
    of_dummies = split_rows(in_order(parts, found), prompts, per_prompt)[:, asked:]
    return of_dummies, of_demonstrations


def start_plain(
    model: Any, at: dict[str, Any], batch: dict[str, Any]
) -> tuple[dict[str, Any], Tensor]:
    """The query alone: its cache before the arrow, and the arrow's states, (prompt, layer, hidden).

    To add a vector to a state is to replace it with itself plus the vector.
    """
    before, states, _ = read_plain(model, at, batch)
    return before, states


def read_plain(
    model: Any, at: dict[str, Any], batch: dict[str, Any]
) -> tuple[dict[str, Any], Tensor, Tensor]:
    """The query alone: its cache before the arrow, the arrow's states, and its logits.

    Returns:
        The cache; (prompt, layer, hidden); (prompt, vocab).
    """
    before = read_query(model, at, batch)
    states, logits = read_arrow(model, at, batch, before, [0])
    return before, states, logits[:, 0]

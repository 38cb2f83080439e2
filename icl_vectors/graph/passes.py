"""The separated forward pass, as a few traces to be called inside one nnsight session.

    A: what the demonstrations S teach             f: the rule, applied to x with θ alone

    Apple→Red ↵ Lime→Green ↵ Plum→                 Corn→
                                 │                     ▲
              output of block ℓ ─┴─────── θ(S) ────────┘ output of block ℓ   … Yellow

Paper: section 2 and figure 2. Imports torch alone: the functions go over whole to a server that
has never heard of this package. `at` are the model's hook points: its blocks and head, and
whether blocks give tuples. Axes: prompt, row (prompt × something), token, layer, hidden.

Rows come in parts, one trace each. On the *cached* path there is one part, padded: demonstrations
and query are kept as keys and values, and the arrow alone is run on them. On the *whole* path
nothing is kept: every part holds whole prompts of one length, and every block is run.
"""

import copy
from typing import Any

import torch
from torch import Tensor


def read_theta(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """A(S): θ at every layer from the dummy queries, and what is answered to each of them.

    On the cached path the demonstrations are computed once; "query→", "dummy→" … run on them.

    Returns:
        θ, the mean over the dummies of the states at their arrows, (prompt, layer, hidden);
        the logits after each arrow, first the query's where the batch asks it (the regular
        answer), then the dummies', (prompt, suffix, vocab).
    """
    blocks, head = at["blocks"], at["head"]
    past: dict[str, Any] = {}
    if batch["shared"] is not None:
        with model.trace(batch["shared"], use_cache=True):
            head.skip(head.input[:, -1:])  # no logits are needed here
            past = cache_of(model.output)
        repeat_rows(past, batch["per_prompt"])

    found, answers = [], []
    for part in batch["suffixes"]:
        rows, arrows = torch.arange(len(part["rows"])), part["arrows"]
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            states = []
            for block in blocks:
                states.append(state_of(block.output, part)[rows, arrows].flatten(1))
            head.input = head.input[rows, arrows][:, None]  # (row, 1, hidden)
            logits = model.output.logits[:, -1]
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
        answers.append(logits)
    by_prompt = (batch["prompts"], batch["per_prompt"])
    theta = split_rows(in_order(batch["suffixes"], found), *by_prompt)[:, batch["asked"] :].mean(1)
    return theta, split_rows(in_order(batch["suffixes"], answers), *by_prompt)


def read_theta_at(
    model: Any, at: dict[str, Any], batch: dict[str, Any], layers: list[int]
) -> Tensor:
    """θ at some layers, ascending, (prompt, layer, hidden): as `read_theta`, without answers.

    Blocks above the highest are not run.
    """
    blocks, head, last = at["blocks"], at["head"], layers[-1]
    past: dict[str, Any] = {}
    if batch["shared"] is not None:
        with model.trace(batch["shared"], use_cache=True):
            output = blocks[last].output
            for block in blocks[last + 1 :]:
                block.skip(output)
            head.skip(head.input[:, -1:])
            past = cache_of(model.output)
        repeat_rows(past, batch["per_prompt"])
    found = []
    for part in batch["suffixes"]:
        rows, arrows = torch.arange(len(part["rows"])), part["arrows"]
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            states = []
            for layer in layers:
                output = blocks[layer].output
                states.append(state_of(output, part)[rows, arrows].flatten(1))  # (row, hidden)
            for block in blocks[last + 1 :] if part["cached"] else []:
                block.skip(output)
            head.skip(head.input[:, -1:])
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
    by_prompt = (batch["prompts"], batch["per_prompt"])
    return split_rows(in_order(batch["suffixes"], found), *by_prompt)[:, batch["asked"] :].mean(1)


def read_arrows(model: Any, at: dict[str, Any], parts: list[dict[str, Any]]) -> Tensor:
    """The last token's states in whole prompts, (prompt, layer, hidden)."""
    blocks, head = at["blocks"], at["head"]
    found = []
    for part in parts:
        with model.trace(part["inputs"], use_cache=False):
            states = []
            for block in blocks:
                states.append(state_of(block.output, part)[:, -1].flatten(1))  # (row, hidden)
            head.skip(head.input[:, -1:])
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
    return in_order(parts, found)


def project(model: Any, at: dict[str, Any], states: Tensor, row_axis: int) -> Tensor:
    """States (row, hidden) as logits (row, vocab): the model's own final norm and unembedding.

    Paper: section 4.3.
    They become the output of the last block, so that norm, head and soft-cap are the model's.
    """
    token = torch.arange(len(states))[:, None] % 2  # any: what it gives is replaced
    with model.trace({"input_ids": token}, use_cache=False):
        state = state_of(at["blocks"][-1].output, {"row_axis": row_axis})
        state[:, -1] = states.to(state).view_as(state[:, -1])
        logits: Tensor = model.output.logits[:, -1]
    return logits


def read_query(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    """The query alone, up to its arrow: its key-value cache, or nothing where none is kept."""
    past: dict[str, Any] = {}
    if batch["before"] is not None:
        with model.trace(batch["before"], use_cache=True):
            at["head"].skip(at["head"].input[:, -1:])
            past = cache_of(model.output)
    return past


def apply_theta(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    before: dict[str, Any],
    theta: Tensor,
    at_layers: list[int],
) -> Tensor:
    """f(x; θ): the arrow of the query alone, its state at block ℓ replaced with θ.

    Each prompt has one row for each of `at_layers`, ascending; −1 stands for "no injection".
    On the cached path a row needs nothing of the blocks below the one where θ is injected, so those
    below the lowest of `at_layers` are not run.

    Args:
        theta: the injected vectors, (prompt, candidate, hidden), one for each of `at_layers`.

    Returns:
        The logits after the arrow and what is after it, (prompt, candidate, vocab).
    """
    blocks, head = at["blocks"], at["head"]
    found, candidates = [], len(at_layers)
    for part, past in arrow_parts(batch, before, candidates):
        injected = theta[part["rows"].to(theta.device)].flatten(0, 1)  # (row, hidden)
        row_layer = torch.tensor(at_layers * len(part["rows"]), device=theta.device)[:, None]
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            for layer, block in enumerate(blocks):
                if part["cached"] and part["at"] == -1 and layer <= at_layers[0]:
                    state = injected[:, None]  # (row, 1, hidden)
                    block.skip((state,) if at["in_tuple"] else state)
                elif layer in at_layers:
                    state = state_of(block.output, part)
                    own = state[:, part["at"]].flatten(1)  # (row, hidden)
                    put = (row_layer == layer).to(state.device)  # (row, 1)
                    changed = torch.where(put, injected.to(state.device), own)
                    state[:, part["at"]] = changed.view_as(state[:, part["at"]])
            head.input = head.input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(split_rows(logits, -1, candidates))
    return in_order(batch["arrow"], found)


def read_whole(model: Any, at: dict[str, Any], parts: list[dict[str, Any]]) -> Tensor:
    """The logits after the last token of whole prompts, without any cache, (prompt, vocab)."""
    found = []
    for part in parts:
        with model.trace(part["inputs"], use_cache=False):
            at["head"].input = at["head"].input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(logits)
    return in_order(parts, found)


def read_arrow(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    before: dict[str, Any],
    layers: list[int],
) -> tuple[Tensor, Tensor]:
    """As `apply_theta`, with nothing injected: the states that stand where it would put θ.

    Returns:
        Each block's own state, in the row that `apply_theta` has for it, (prompt, layer, hidden);
        the logits after the arrow, (prompt, candidate, vocab).
    """
    blocks, head = at["blocks"], at["head"]
    found, answers, candidates = [], [], len(layers)
    for part, past in arrow_parts(batch, before, candidates):
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            states = []
            for layer, block in enumerate(blocks):
                row = layers.index(layer) if layer in layers else 0
                state = state_of(block.output, part)[row::candidates, part["at"]]
                states.append(state.flatten(1).clone())
            head.input = head.input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
        answers.append(split_rows(logits, -1, candidates))
    return in_order(batch["arrow"], found), in_order(batch["arrow"], answers)


class BlockOfLoop:
    """One run of a block that runs several times in a pass, in the place of its envoy."""

    def __init__(self, block: Any, run: Any) -> None:
        self.block, self.run = block, run  # an envoy, and the one of its iterations

    @property
    def output(self) -> Any:
        """What the block gives in that run."""
        for _ in self.run:
            output = self.block.output
        return output


def state_of(output: Any, part: dict[str, Any]) -> Tensor:
    """A block's state as a view, (row, token, hidden); (row, token, stream, hidden) of streams."""
    state: Tensor = output[0] if isinstance(output, tuple | list) else output
    return state.movedim(0, 2) if part["row_axis"] else state


def arrow_parts(
    batch: dict[str, Any], before: dict[str, Any], times: int
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The parts of a batch's arrow, every row `times` times, each with the cache it runs on."""
    found = []
    for part in batch["arrow"]:
        past = copy.deepcopy(before)
        repeat_rows(past, times)
        inputs = {key: value.repeat_interleave(times, 0) for key, value in part["inputs"].items()}
        found.append(({**part, "inputs": inputs}, past))
    return found


def in_order(parts: list[dict[str, Any]], found: list[Tensor]) -> Tensor:
    """What each part gave, row by row, in the order of all rows."""
    if len(found) == 1:
        return found[0]
    return torch.cat(found)[
        torch.cat([part["rows"] for part in parts]).argsort().to(found[0].device)
    ]


def split_rows(found: Tensor, *sizes: int) -> Tensor:
    """The axis of the rows as several, (…, what follows)."""
    return found.reshape(*sizes, *found.shape[1:])


def like_state(vector: Tensor, state: Tensor) -> Tensor:
    """Vectors (…, hidden) as they are in a state, which may have several streams."""
    return vector.reshape(*vector.shape[:-1], *state.shape[2:])


def largest_difference(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference of two logits in each column, (prompt, candidate, vocab) each."""
    return (one.float() - other.float()).abs().amax((0, 2)).cpu()  # (candidate,)


def moved_by(state: Tensor, vector: Tensor) -> Tensor:
    """States with a vector added, which keep their norms, (…, hidden)."""
    moved = state.float() + vector.float()
    size = state.float().norm(dim=-1, keepdim=True)
    kept: Tensor = moved * size / moved.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    return kept.to(state.dtype)


def joined(parts: list[Tensor]) -> Tensor:
    """Parts of batches as one tensor; empty where there was no batch."""
    return torch.cat(parts) if parts else torch.empty(0)


def cache_of(output: Any) -> dict[str, Any]:
    """The key-value cache as the argument of a later trace, by the name that transformers uses.

    It is `cache` from transformers 5.24 on, `past_key_values` before; where the trace runs decides.
    """
    name = "cache" if "cache" in output else "past_key_values"
    return {name: output[name]}


def repeat_rows(past: dict[str, Any], times: int) -> None:
    """Repeat every row of a cache, in place."""
    for cache in past.values():
        cache.batch_repeat_interleave(times)

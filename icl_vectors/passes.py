"""The separated forward pass, as three traces to be called inside one nnsight session.

    A: what the demonstrations S teach             f: the rule, applied to x with θ alone

    Apple→Red ↵ Lime→Green ↵ Plum→                 Corn→
                                 │                     ▲
              output of block ℓ ─┴─────── θ(S) ────────┘ output of block ℓ   … Yellow

Paper: section 2 and figure 2. Imports torch alone: the functions go over whole to a server that
has never heard of this package. Axes: prompt, row (prompt × something), token, layer, hidden.
"""

import copy
from typing import Any

import torch
from torch import Tensor


def learn(
    model: Any, blocks: list[Any], head: Any, batch: dict[str, Any]
) -> tuple[Tensor, Tensor, bool]:
    """A(S): θ at every layer from the dummy queries, and what is answered to each of them.

    The demonstrations are computed once; on their cache run the short ends "query→", "dummy→" ….

    Returns:
        θ, the mean over the dummies of the states at their arrows, (prompt, layer, hidden);
        the logits after each arrow, first the query's where the batch asks it (the regular
        answer), then the dummies', (prompt, suffix, vocab); whether blocks give tuples.
    """
    prompts, per_prompt, asked = batch["prompts"], batch["per_prompt"], batch["asked"]
    past: dict[str, Any] = {}
    if batch["shared"] is not None:
        with model.trace(batch["shared"], use_cache=True):
            head.skip(head.input[:, -1:])  # no logits are needed here
            past = cache_of(model.output)
        repeat_rows(past, per_prompt)

    rows, arrows = torch.arange(prompts * per_prompt), batch["arrows"]
    with model.trace(batch["suffixes"], use_cache=True, **past):
        states = []
        for block in blocks:
            output = block.output
            in_tuple = isinstance(output, tuple)
            state = output[0] if in_tuple else output  # (row, token, hidden)
            at_dummies = state[rows, arrows].view(prompts, per_prompt, -1)[:, asked:]
            states.append(at_dummies.mean(1))  # (prompt, hidden)
        head.input = head.input[rows, arrows][:, None]  # (row, 1, hidden)
        logits = model.output.logits[:, -1].view(prompts, per_prompt, -1)
    theta = torch.stack([state.to(states[0].device) for state in states], 1)
    return theta, logits, in_tuple


def learn_at(model: Any, blocks: list[Any], head: Any, batch: dict[str, Any], layer: int) -> Tensor:
    """θ at one layer, (prompt, hidden): as `learn`, but blocks above it are not run."""
    prompts, per_prompt = batch["prompts"], batch["per_prompt"]
    past: dict[str, Any] = {}
    if batch["shared"] is not None:
        with model.trace(batch["shared"], use_cache=True):
            output = blocks[layer].output
            for block in blocks[layer + 1 :]:
                block.skip(output)
            head.skip(head.input[:, -1:])
            past = cache_of(model.output)
        repeat_rows(past, per_prompt)
    rows, arrows = torch.arange(prompts * per_prompt), batch["arrows"]
    with model.trace(batch["suffixes"], use_cache=True, **past):
        output = blocks[layer].output
        state = output[0] if isinstance(output, tuple) else output  # (row, token, hidden)
        at_dummies = state[rows, arrows].view(prompts, per_prompt, -1)[:, batch["asked"] :]
        theta: Tensor = at_dummies.mean(1)
        for block in blocks[layer + 1 :]:
            block.skip(output)
        head.skip(head.input[:, -1:])
    return theta


def read_arrows(
    model: Any, blocks: list[Any], head: Any, prompts: dict[str, Tensor]
) -> tuple[Tensor, bool]:
    """The last token's states in whole prompts, (prompt, layer, hidden); do blocks give tuples?"""
    with model.trace(prompts, use_cache=False):
        states = []
        for block in blocks:
            output = block.output
            in_tuple = isinstance(output, tuple)
            states.append((output[0] if in_tuple else output)[:, -1])  # (prompt, hidden)
        head.skip(head.input[:, -1:])
    return torch.stack([state.to(states[0].device) for state in states], 1), in_tuple


def project(model: Any, blocks: list[Any], states: Tensor, in_tuple: bool) -> Tensor:
    """States (row, hidden) as logits (row, vocab): the model's own final norm and unembedding.

    Paper: section 4.3.
    No block is run: each hands on the state, so that norm, head and soft-cap are the model's.
    """
    token = torch.zeros(len(states), 1, dtype=torch.long)  # any: no block sees it
    with model.trace({"input_ids": token}, use_cache=False):
        for block in blocks:
            state = states[:, None]  # (row, 1, hidden)
            block.skip((state,) if in_tuple else state)
        logits: Tensor = model.output.logits[:, -1]
    return logits


def read_query(model: Any, head: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """The query alone, up to its arrow: its key-value cache, or nothing where nothing precedes."""
    past: dict[str, Any] = {}
    if batch["before"] is not None:
        with model.trace(batch["before"], use_cache=True):
            head.skip(head.input[:, -1:])
            past = cache_of(model.output)
    return past


def apply_theta(
    model: Any,
    blocks: list[Any],
    batch: dict[str, Any],
    before: dict[str, Any],
    theta: Tensor,
    at_layers: list[int],
    in_tuple: bool,
) -> Tensor:
    """f(x; θ): the arrow of the query alone, its state at block ℓ replaced with θ.

    Each prompt has one row for each of `at_layers`, ascending; −1 stands for "no injection".
    A row needs nothing of the blocks below the one where θ is put in, so those below the lowest
    of `at_layers` are not run.

    Args:
        theta: what goes in, (prompt, candidate, hidden), one for each of `at_layers`.

    Returns:
        The logits after the arrow, (prompt, candidate, vocab).
    """
    prompts, candidates = batch["prompts"], len(at_layers)
    lowest = at_layers[0]
    past = copy.deepcopy(before)
    repeat_rows(past, candidates)
    arrow = {key: value.repeat_interleave(candidates, 0) for key, value in batch["arrow"].items()}
    injected = theta.flatten(0, 1)  # (row, hidden)
    row_layer = torch.tensor(at_layers * prompts, device=theta.device)[:, None]  # (row, 1)

    with model.trace(arrow, use_cache=True, **past):
        for layer, block in enumerate(blocks):
            if layer <= lowest:
                state = injected[:, None]  # (row, 1, hidden)
                block.skip((state,) if in_tuple else state)
            else:
                state = block.output[0] if in_tuple else block.output  # (row, 1, hidden)
                put_in = (row_layer == layer).to(state.device)  # (row, 1)
                state[:, -1] = torch.where(put_in, injected.to(state.device), state[:, -1])
        logits: Tensor = model.output.logits[:, -1].view(prompts, candidates, -1)
    return logits


def write_answers(
    model: Any,
    blocks: list[Any],
    head: Any,
    prompts: dict[str, Tensor],
    theta: dict[int, Tensor],
    steps: int,
    mode: str = "replace",
    ends: tuple[int, ...] = (),
    projections: tuple[Any, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Greedy answers of several tokens, θ put in at the arrow while the prompt is read.

    The later tokens attend to what the prompt's pass left in the cache; θ is not put in again,
    unless it goes everywhere.

    Args:
        prompts: model inputs that end at the arrow, left-padded, (prompt, token).
        theta: for each decoder block, what goes into its output there, (hidden,) for all prompts
            or (prompt, hidden).
        mode: see `put_in`.
        ends: token ids that end an answer; when each answer has one, no more are written.
        projections: of each block's attention, where θ goes into attention outputs.

    Returns:
        The tokens written, (prompt, step), −1 after the last step that was needed, and the logits
        after the arrow, (prompt, vocab).
    """
    with model.trace(prompts, use_cache=True):
        put_in(blocks, projections, theta, mode)
        head.input = head.input[:, -1:]
        first_logits = model.output.logits[:, -1]  # (prompt, vocab)
        past = cache_of(model.output)

    token = first_logits.argmax(-1, keepdim=True)  # (prompt, 1)
    written, mask = [token], prompts["attention_mask"]
    for _ in range(steps - 1):
        tokens = torch.cat([step.cpu() for step in written], 1)  # (prompt, step)
        if torch.isin(tokens, torch.tensor(ends, dtype=torch.long)).any(1).all():
            break
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        inputs = {"input_ids": token, "attention_mask": mask}
        if "position_ids" in prompts:
            inputs["position_ids"] = mask.sum(-1, keepdim=True) - 1
        with model.trace(inputs, use_cache=True, **past):
            put_in(blocks, projections, theta if mode == "everywhere" else {}, mode)
            token = model.output.logits[:, -1].argmax(-1, keepdim=True)
            past = cache_of(model.output)  # in a sandbox it is another object after each trace
        written.append(token)
    unneeded = torch.full((len(token), steps - len(written)), -1)
    return torch.cat([*(token.cpu() for token in written), unneeded], 1), first_logits


def read_whole(model: Any, head: Any, prompts: dict[str, Tensor]) -> Tensor:
    """The logits after the last token of whole prompts, without any cache, (prompt, vocab)."""
    with model.trace(prompts, use_cache=False):
        head.input = head.input[:, -1:]
        logits: Tensor = model.output.logits[:, -1]
    return logits


def read_arrow(
    model: Any, blocks: list[Any], batch: dict[str, Any], before: dict[str, Any], layers: list[int]
) -> tuple[Tensor, Tensor]:
    """As `apply_theta`, with nothing put in: the states that stand where it would put θ.

    Returns:
        Each block's own state, in the row that `apply_theta` has for it, (prompt, layer, hidden);
        the logits after the arrow, (prompt, candidate, vocab).
    """
    prompts, candidates = batch["prompts"], len(layers)
    past = copy.deepcopy(before)
    repeat_rows(past, candidates)
    arrow = {key: value.repeat_interleave(candidates, 0) for key, value in batch["arrow"].items()}
    with model.trace(arrow, use_cache=True, **past):
        states = []
        for layer, block in enumerate(blocks):
            output = block.output
            state = output[0] if isinstance(output, tuple) else output  # (row, 1, hidden)
            row = layers.index(layer) if layer in layers else 0
            of_prompts = state[:, -1].view(prompts, candidates, -1)[:, row]
            states.append(of_prompts.clone())  # (prompt, hidden)
        logits: Tensor = model.output.logits[:, -1].view(prompts, candidates, -1)
    return torch.stack([state.to(states[0].device) for state in states], 1), logits


def largest_difference(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference of two logits in each column, (prompt, candidate, vocab) each."""
    return (one.float() - other.float()).abs().amax((0, 2)).cpu()  # (candidate,)


def put_in(
    blocks: list[Any], projections: tuple[Any, ...], theta: dict[int, Tensor], mode: str
) -> None:
    """Put θ into some blocks, within a trace.

    Args:
        mode: "replace": the last token's state becomes θ; "add": θ is added to it; "attention":
            the attention's output at the last token becomes θ; "everywhere": θ is added to the
            states of all tokens, which keep their norms.
    """
    for layer in sorted(theta):
        if mode == "attention":
            attention = projections[layer].output  # (prompt, token, hidden)
            attention[:, -1] = theta[layer].to(attention)
            continue
        output = blocks[layer].output
        state = output[0] if isinstance(output, tuple) else output  # (prompt, token, hidden)
        vector = theta[layer].to(state)
        if mode == "everywhere":
            state[:] = moved_by(state, vector)
        else:
            state[:, -1] = state[:, -1] + vector if mode == "add" else vector


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

"""The separated forward pass, as a few traces to be called inside one nnsight session.

    A: what the demonstrations S teach             f: the rule, applied to x with θ alone

    Apple→Red ↵ Lime→Green ↵ Plum→                 Corn→
                                 │                     ▲
              output of block ℓ ─┴─────── θ(S) ────────┘ output of block ℓ   … Yellow

Paper: section 2 and figure 2. Imports torch alone: the functions go over whole to a server that
has never heard of this package. Axes: prompt, row (prompt × something), token, layer, hidden.

Rows come in parts, one trace each. On the *cached* path there is one part, padded: demonstrations
and query are kept as keys and values, and the arrow alone is run on them. On the *whole* path
nothing is kept: every part holds whole prompts of one length, and every block is run.
"""

import copy
from typing import Any

import torch
from torch import Tensor


def learn(
    model: Any, blocks: list[Any], head: Any, batch: dict[str, Any]
) -> tuple[Tensor, Tensor, bool]:
    """A(S): θ at every layer from the dummy queries, and what is answered to each of them.

    On the cached path the demonstrations are computed once; "query→", "dummy→" … run on them.

    Returns:
        θ, the mean over the dummies of the states at their arrows, (prompt, layer, hidden);
        the logits after each arrow, first the query's where the batch asks it (the regular
        answer), then the dummies', (prompt, suffix, vocab); whether blocks give tuples.
    """
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
                in_tuple = isinstance(block.output, tuple)
                states.append(state_of(block.output, part)[rows, arrows].flatten(1))
            head.input = head.input[rows, arrows][:, None]  # (row, 1, hidden)
            logits = model.output.logits[:, -1]
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
        answers.append(logits)
    by_prompt = (batch["prompts"], batch["per_prompt"])
    theta = in_order(batch["suffixes"], found).unflatten(0, by_prompt)[:, batch["asked"] :].mean(1)
    return theta, in_order(batch["suffixes"], answers).unflatten(0, by_prompt), in_tuple


def learn_at(model: Any, blocks: list[Any], head: Any, batch: dict[str, Any], layer: int) -> Tensor:
    """θ at one layer, (prompt, hidden): as `learn`, but blocks above it are not run."""
    past: dict[str, Any] = {}
    if batch["shared"] is not None:
        with model.trace(batch["shared"], use_cache=True):
            output = blocks[layer].output
            for block in blocks[layer + 1 :]:
                block.skip(output)
            head.skip(head.input[:, -1:])
            past = cache_of(model.output)
        repeat_rows(past, batch["per_prompt"])
    found = []
    for part in batch["suffixes"]:
        rows, arrows = torch.arange(len(part["rows"])), part["arrows"]
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            output = blocks[layer].output
            state = state_of(output, part)[rows, arrows].flatten(1)  # (row, hidden)
            for block in blocks[layer + 1 :] if part["cached"] else []:
                block.skip(output)
            head.skip(head.input[:, -1:])
        found.append(state)
    by_prompt = (batch["prompts"], batch["per_prompt"])
    return in_order(batch["suffixes"], found).unflatten(0, by_prompt)[:, batch["asked"] :].mean(1)


def read_arrows(model: Any, blocks: list[Any], head: Any, parts: list[dict[str, Any]]) -> Tensor:
    """The last token's states in whole prompts, (prompt, layer, hidden)."""
    found = []
    for part in parts:
        with model.trace(part["inputs"], use_cache=False):
            states = []
            for block in blocks:
                states.append(state_of(block.output, part)[:, -1].flatten(1))  # (row, hidden)
            head.skip(head.input[:, -1:])
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
    return in_order(parts, found)


def project(model: Any, blocks: list[Any], states: Tensor, row_axis: int) -> Tensor:
    """States (row, hidden) as logits (row, vocab): the model's own final norm and unembedding.

    Paper: section 4.3.
    They become the output of the last block, so that norm, head and soft-cap are the model's.
    """
    token = torch.zeros(len(states), 1, dtype=torch.long)  # any: what it gives is replaced
    with model.trace({"input_ids": token}, use_cache=False):
        state = state_of(blocks[-1].output, {"row_axis": row_axis})
        state[:, -1] = states.to(state).view_as(state[:, -1])
        logits: Tensor = model.output.logits[:, -1]
    return logits


def read_query(model: Any, head: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """The query alone, up to its arrow: its key-value cache, or nothing where none is kept."""
    past: dict[str, Any] = {}
    if batch["before"] is not None:
        with model.trace(batch["before"], use_cache=True):
            head.skip(head.input[:, -1:])
            past = cache_of(model.output)
    return past


def apply_theta(
    model: Any,
    blocks: list[Any],
    head: Any,
    batch: dict[str, Any],
    before: dict[str, Any],
    theta: Tensor,
    at_layers: list[int],
    in_tuple: bool,
) -> Tensor:
    """f(x; θ): the arrow of the query alone, its state at block ℓ replaced with θ.

    Each prompt has one row for each of `at_layers`, ascending; −1 stands for "no injection".
    On the cached path a row needs nothing of the blocks below the one where θ is put in, so those
    below the lowest of `at_layers` are not run.

    Args:
        theta: what goes in, (prompt, candidate, hidden), one for each of `at_layers`.

    Returns:
        The logits after the arrow, (prompt, candidate, vocab).
    """
    found, candidates = [], len(at_layers)
    for part, past in arrow_parts(batch, before, candidates):
        injected = theta[part["rows"].to(theta.device)].flatten(0, 1)  # (row, hidden)
        row_layer = torch.tensor(at_layers * len(part["rows"]), device=theta.device)[:, None]
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            for layer, block in enumerate(blocks):
                if part["cached"] and layer <= at_layers[0]:
                    state = injected[:, None]  # (row, 1, hidden)
                    block.skip((state,) if in_tuple else state)
                elif layer in at_layers:
                    state = state_of(block.output, part)
                    own = state[:, -1].flatten(1)  # (row, hidden)
                    put = (row_layer == layer).to(state.device)  # (row, 1)
                    changed = torch.where(put, injected.to(state.device), own)
                    state[:, -1] = changed.view_as(state[:, -1])
            head.input = head.input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(logits.unflatten(0, (-1, candidates)))
    return in_order(batch["arrow"], found)


def write_answers(
    model: Any,
    blocks: list[Any],
    head: Any,
    parts: list[dict[str, Any]],
    theta: dict[int, Tensor],
    steps: int,
    mode: str = "replace",
    ends: tuple[int, ...] = (),
    projections: tuple[Any, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Greedy answers of several tokens, θ put in at the arrow while the prompt is read.

    On the cached path the later tokens attend to what the prompt's pass left in the cache; θ is
    not put in again, unless it goes everywhere. On the whole path prompt and answer are read anew
    for each token, with θ at the same arrow.

    Args:
        parts: whole prompts that end at the arrow.
        theta: for each decoder block, what goes into its output there, (hidden,) for all prompts
            or (prompt, hidden).
        mode: see `put_in`.
        ends: token ids that end an answer; when each answer has one, no more are written.
        projections: of each block's attention, where θ goes into attention outputs.

    Returns:
        The tokens written, (prompt, step), −1 after the last step that was needed, and the logits
        after the arrow, (prompt, vocab).
    """
    answers, first_logits = [], []
    for part in parts:
        own = {layer: one if one.dim() == 1 else one[part["rows"]] for layer, one in theta.items()}
        inputs, past, written = part["inputs"], {}, []
        for step in range(steps):
            again = step == 0 or mode == "everywhere" or not part["cached"]
            at = -1 if part["cached"] else -1 - step  # where the arrow is
            with model.trace(inputs, use_cache=part["cached"], **past):
                put_in(blocks, projections, own if again else {}, mode, part, at)
                head.input = head.input[:, -1:]
                logits = model.output.logits[:, -1]
                if part["cached"]:
                    past = cache_of(model.output)  # in a sandbox another object after each trace
            if step == 0:
                first_logits.append(logits)
            written.append(logits.argmax(-1, keepdim=True))
            tokens = torch.cat([one.cpu() for one in written], 1)  # (row, step)
            if torch.isin(tokens, torch.tensor(ends, dtype=torch.long)).any(1).all():
                break
            inputs = with_token(inputs, written[-1], part["cached"])
        answers.append(torch.nn.functional.pad(tokens, (0, steps - len(written)), value=-1))
    return in_order(parts, answers), in_order(parts, first_logits)


def with_token(inputs: dict[str, Tensor], token: Tensor, cached: bool) -> dict[str, Tensor]:
    """The inputs of the trace after one that wrote a token: that alone, or all with it."""
    if not cached:
        ids = inputs["input_ids"]
        return {"input_ids": torch.cat([ids, token.to(ids.device)], 1)}
    mask = inputs["attention_mask"]
    mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    given = {"input_ids": token, "attention_mask": mask}
    if "position_ids" in inputs:
        given["position_ids"] = mask.sum(-1, keepdim=True) - 1
    return given


def read_whole(model: Any, head: Any, parts: list[dict[str, Any]]) -> Tensor:
    """The logits after the last token of whole prompts, without any cache, (prompt, vocab)."""
    found = []
    for part in parts:
        with model.trace(part["inputs"], use_cache=False):
            head.input = head.input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(logits)
    return in_order(parts, found)


def read_arrow(
    model: Any,
    blocks: list[Any],
    head: Any,
    batch: dict[str, Any],
    before: dict[str, Any],
    layers: list[int],
) -> tuple[Tensor, Tensor]:
    """As `apply_theta`, with nothing put in: the states that stand where it would put θ.

    Returns:
        Each block's own state, in the row that `apply_theta` has for it, (prompt, layer, hidden);
        the logits after the arrow, (prompt, candidate, vocab).
    """
    found, answers, candidates = [], [], len(layers)
    for part, past in arrow_parts(batch, before, candidates):
        with model.trace(part["inputs"], use_cache=part["cached"], **past):
            states = []
            for layer, block in enumerate(blocks):
                row = layers.index(layer) if layer in layers else 0
                states.append(state_of(block.output, part)[row::candidates, -1].flatten(1).clone())
            head.input = head.input[:, -1:]
            logits = model.output.logits[:, -1]
        found.append(torch.stack([state.to(states[0].device) for state in states], 1))
        answers.append(logits.unflatten(0, (-1, candidates)))
    return in_order(batch["arrow"], found), in_order(batch["arrow"], answers)


def put_in(
    blocks: list[Any],
    projections: tuple[Any, ...],
    theta: dict[int, Tensor],
    mode: str,
    part: dict[str, Any],
    at: int,
) -> None:
    """Put θ into some blocks, within a trace.

    Args:
        mode: "replace": the arrow's state becomes θ; "add": θ is added to it; "attention": the
            attention's output at the arrow becomes θ; "everywhere": θ is added to the states of
            all tokens, which keep their norms.
        at: the arrow's index.
    """
    for layer in sorted(theta):
        if mode == "attention":
            attention = projections[layer].output  # (prompt, token, hidden)
            attention[:, at] = theta[layer].to(attention)
            continue
        state = state_of(blocks[layer].output, part)  # (prompt, token, hidden)
        vector = theta[layer].to(state).unflatten(-1, state.shape[2:])
        if mode == "everywhere":
            state[:] = moved_by(state, vector)
        else:
            state[:, at] = state[:, at] + vector if mode == "add" else vector


def state_of(output: Any, part: dict[str, Any]) -> Tensor:
    """A block's state as a view, (row, token, hidden); (row, token, stream, hidden) of streams."""
    state: Tensor = output[0] if isinstance(output, tuple) else output
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

"""Function vectors (Todd et al. 2023, arXiv 2310.15213): a few heads carry the task.

Heads are ranked by their average indirect effect: in prompts whose demonstrations have shuffled
answers, one head's output at the last arrow is set to its mean over sound prompts; how much
likelier does the right answer become? The function vector is the sum, over the top heads, of what
their mean outputs add to the residual stream; it is added to the state of the query's arrow.

Heads are told apart at the input of the attention's output projection (num_attention_heads parts
of head_dim), so that grouped keys and values make no difference.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import apply_theta, repeat_rows
from icl_vectors.graph.read import read_dummies, read_plain, start_plain
from icl_vectors.methods.cost import cost_of_adding
from icl_vectors.methods.method import Candidate, Method, by_layers

GROUP = 1  # layers injected in one trace


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """Heads' outputs at the dummies' arrows, (prompt, 2, layer, heads × head_dim).

    First as they are, then as they reach the residual stream: where a norm stands between the
    attention and the stream, divided by the root mean square of the attention's output.
    """
    found = read_dummies(model, at, batch, "heads")  # (prompt, dummy, layer, width + 1)
    heads, size = found[..., :-1], found[..., -1:]
    reaching = heads / size if at["norms"] else heads
    return torch.stack([heads.mean(1), reaching.mean(1)], 1)


def make(model: Any, at: dict[str, Any], activations: Tensor) -> Tensor:
    """Function vectors of the top 1, 2, 4 … heads (`at["counts"]`), (prompt, count, hidden).

    The projections are called by hand, in a trace in which no block is run.
    """
    none = {"input_ids": torch.zeros(1, 1, dtype=torch.long)}  # any token: no block sees it
    with model.trace(none, use_cache=False):
        total: Any = 0
        vectors = []
        for number, (layer, head) in enumerate(at["ranked"][: max(at["counts"])], start=1):
            total = total + contribution(at, activations[:, 1, layer], layer, head)
            if number in at["counts"]:
                vectors.append(total)
        state = torch.zeros(1, 1, at["hidden"]).to(at["like"])
        for block in at["blocks"]:
            block.skip((state,) if at["in_tuple"] else state)
        at["head"].skip(at["head"].input)
    return torch.stack(vectors, 1)


def contribution(at: dict[str, Any], heads: Tensor, layer: int, head: int) -> Tensor:
    """What one head of a block adds to the residual stream, (prompt, hidden).

    Args:
        heads: outputs of all heads of the block, side by side, (prompt, width).
    """
    projection, size = at["projections"][layer], heads.shape[-1] // at["n_heads"]
    part = slice(head * size, (head + 1) * size)
    alone = torch.zeros_like(heads)
    alone[:, part] = heads[:, part]
    alone = alone.to(at["like"])[:, None]  # (prompt, 1, width)
    added = (projection(alone) - projection(torch.zeros_like(alone))).float()
    if at["norms"]:  # it scales by the norm of what comes in: undo that, the size is known
        scale = added.pow(2).mean(-1, keepdim=True).sqrt()
        added = at["norms"][layer](added.to(at["like"])).float() * scale
    contributed: Tensor = added[:, 0] * at["residual_scale"]
    return contributed


def inject(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    started: tuple[dict[str, Any], Tensor],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """The function vector is added to the state of the query's arrow at one block."""
    layers = [layer for layer, _ in candidates]
    which = [at["counts"].index(count) for _, count in candidates]
    before, states = started
    theta = states[:, layers] + vectors[:, which].to(at["like"])  # (prompt, candidate, hidden)
    return apply_theta(model, at, batch, before, theta, layers)


def indirect_effects(
    model: Any, at: dict[str, Any], batch: dict[str, Any], mean_heads: Tensor
) -> Tensor:
    """How much likelier the answer becomes with one head's output set to its mean.

    Only the last arrow is changed, so that each patch is one token on the cache of its prompt;
    all heads of a block are rows of one pass, which begins at that block.

    Args:
        batch: prompts with shuffled answers as "queries alone".
        mean_heads: over sound prompts, (prompt, layer, width).

    Returns:
        P(answer) with the patch minus without, (prompt, layer, head).
    """
    heads, prompts = at["n_heads"], batch["prompts"]
    before, states, logits = read_plain(model, at, batch)
    accepted = batch["accepted"].repeat_interleave(heads, 0)
    plainly = answer_probability(logits, batch["accepted"])[:, None]  # (prompt, 1)
    arrow = {
        key: value.repeat_interleave(heads, 0) for key, value in batch["arrow"][0]["inputs"].items()
    }
    size = mean_heads.shape[-1] // heads
    own = torch.eye(heads).repeat_interleave(size, 1).bool()  # (head, width)
    own = own.repeat(prompts, 1)  # (row, width)
    effects = []
    for layer in range(len(at["blocks"])):
        past = copy.deepcopy(before)
        repeat_rows(past, heads)
        mean = mean_heads[:, layer].repeat_interleave(heads, 0)  # (row, width)
        with model.trace(arrow, use_cache=True, **past):
            if layer:
                below = states[:, layer - 1].repeat_interleave(heads, 0)[:, None]  # (row, 1, h)
                for block in at["blocks"][:layer]:
                    block.skip((below,) if at["in_tuple"] else below)
            given = at["projections"][layer].input  # (row, 1, width)
            patched = torch.where(own.to(given.device), mean.to(given), given[:, -1])
            given[:, -1] = patched
            logits = model.output.logits[:, -1]
        likely = answer_probability(logits, accepted).view(prompts, heads)
        effects.append(likely - plainly)
    return torch.stack(effects, 1)


def answer_probability(logits: Tensor, accepted: Tensor) -> Tensor:
    """Probability of the likeliest accepted first token, (row,)."""
    likely = logits.float().softmax(-1).cpu().gather(-1, accepted.clamp(min=0))
    return likely.masked_fill(accepted < 0, 0.0).max(-1).values


def every_layer_and_count(
    layers: Sequence[int], options: Mapping[str, Any]
) -> list[list[Candidate]]:
    """A block and a number of heads; fewer heads first."""
    return by_layers(layers, GROUP, options["counts"])


def counts_of(n_heads: int) -> list[int]:
    """Numbers of heads that are tried: powers of two up to an eighth of them all, or eight."""
    most = max(8, n_heads // 8)
    return [count for count in (1, 2, 4, 8, 16, 32, 64, 128) if count <= min(most, n_heads)]


FUNCTION = Method(
    name="function",
    mode="add",
    title="function vector: the top heads' mean outputs, added",
    source="Todd et al. 2023, arXiv 2310.15213",
    read=read,
    make=make,
    start=start_plain,
    inject=inject,
    cost=cost_of_adding,
    candidates=every_layer_and_count,
    attention=True,
    names=("layer", "heads"),
    pooled=True,
    heads=True,
)

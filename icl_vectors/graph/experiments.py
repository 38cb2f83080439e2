"""The sessions of the other experiments: many θ at one layer, conflicting tasks, θ as words."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import (
    apply_theta,
    project,
    read_arrow,
    read_arrows,
    read_query,
    read_theta,
    read_theta_at,
)
from icl_vectors.graph.read import probe_blocks
from icl_vectors.graph.task import NO_INJECTION
from icl_vectors.prompts.batches import Batch, Part
from icl_vectors.remote.job import Job
from icl_vectors.remote.shapes import require_shapes

if TYPE_CHECKING:
    from icl_vectors.models.load import Model

DEPENDS = 1e-2  # of the logits' spread: one state said twice differs by more
Progress = Callable[[str, int], None]


def run_many_thetas(
    model: "Model",
    batches: Sequence[Batch],
    layer: int | None,
    progress: Progress | None = None,
    job: Job | None = None,
) -> Float[Tensor, "prompt layer hidden"]:
    """θ of each prompt, float32: at one layer (the blocks above are not run), or at all (None)."""
    nnsight, at = model.nnsight, hook_points(model)
    progress = progress if model.host is None else None
    layers = list(range(model.n_layers)) if layer is None else [layer]
    with model.session(job):
        with torch.no_grad():
            thetas = []
            for batch in batches:
                theta = read_theta_at(nnsight, at, batch, layers)
                thetas.append(theta.float().cpu())
                if progress is not None:
                    progress("θ", batch["prompts"])
            found: Any = {"theta": torch.cat(thetas)}
            found = found.save()
    prompts = sum(batch["prompts"] for batch in batches)
    shape = (prompts, len(layers), model.hidden)
    require_shapes(found, {"theta": shape}, job)
    theta_of_prompts: Tensor = found["theta"]
    return theta_of_prompts


def run_conflict(
    model: "Model",
    of_b: Sequence[Batch],
    of_a: Sequence[Batch],
    layer: int,
    progress: Progress | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Demonstrations of A in the prompt, θ of B injected at its arrow (paper, section 4.2).

    Args:
        of_b: batches whose demonstrations are B's, without a query: θ comes from them.
        of_a: batches whose "query alone" is the whole prompt, demonstrations of A included.

    Returns:
        answers: tokens without and with the injection, (prompt, 2); finite: whether all logits
        and states were.
    """
    nnsight, at = model.nnsight, hook_points(model)
    progress = progress if model.host is None else None
    with model.session(job):
        with torch.no_grad():
            at = probe_blocks(nnsight, at, of_a[0])
            answers, fine = [], []
            for batch_b, batch_a in zip(of_b, of_a, strict=True):
                theta, _ = read_theta(nnsight, at, batch_b)
                before = read_query(nnsight, at, batch_a)
                both = [NO_INJECTION, layer]
                logits = apply_theta(nnsight, at, batch_a, before, theta[:, both], both)
                largest = logits.max(-1)  # (prompt, 2)
                answers.append(largest.indices.cpu())
                fine += [largest.values.isfinite().all(), theta[:, layer].isfinite().all()]
                if progress is not None:
                    progress("conflict", batch_a["prompts"])
            found: Any = {"answers": torch.cat(answers), "finite": torch.stack(fine).all().cpu()}
            found = found.save()
    require_shapes(found, {"answers": (sum(batch["prompts"] for batch in of_a), 2)}, job)
    return dict(found)


def run_projection(
    model: "Model",
    theta: Float[Tensor, "layer hidden"],
    queries: list[Part],
    layers: Sequence[int],
    top: int,
    job: Job | None = None,
) -> dict[str, Any]:
    """θ and the baseline's state as words, at some layers.

    Args:
        theta: at each of `layers`.
        queries: model inputs of queries alone; their mean state at the arrow is the baseline's.
        top: how many tokens come back.

    Returns:
        theta, baseline, added: (probabilities or their difference, tokens), each (layer, top).

    Raises:
        IclVectorsError: what the model makes of a state depends on more than that state.
    """
    nnsight, at = model.nnsight, hook_points(model)
    at_layers, row_axis = list(layers), model.way.row_axis
    with model.session(job):
        with torch.no_grad():
            states = read_arrows(nnsight, at, queries)
            plain = states.mean(0)[at_layers]  # (layer, hidden)
            both = torch.cat([theta.to(plain), plain])
            logits = project(nnsight, at, both, row_axis)
            same = project(nnsight, at, both[:1].expand(2, -1), row_axis).float()
            said, plainly = logits.float().softmax(-1).chunk(2)  # (layer, vocab)
            found: Any = {
                "theta": [part.cpu() for part in said.topk(top, -1)],
                "baseline": [part.cpu() for part in plainly.topk(top, -1)],
                "added": [part.cpu() for part in (said - plainly).topk(top, -1)],
                "apart": ((same[0] - same[1]).abs().max() / same.std()).cpu(),
                "finite": logits.max(-1).values.isfinite().all().cpu(),
            }
            found = found.save()
    require_shapes({"apart": found["apart"]}, {"apart": ()}, job)
    if float(found["apart"]) > DEPENDS:
        raise IclVectorsError(
            f"model type {model.config.model_type!r}: expected logits that depend on the last "
            "block's state alone, found that they depend on earlier states too; θ can't be read as "
            "words here."
        )
    for kind in ("theta", "baseline", "added"):
        require_shapes({kind: found[kind][1]}, {kind: (len(at_layers), top)}, job)
    return dict(found)


def run_by_layer(
    model: "Model",
    demonstrated: Sequence[Batch],
    alone: Sequence[Batch],
    theta: Float[Tensor, "layer hidden"],
    layers: Sequence[int],
    top: int,
    adds: bool,
    job: Job | None = None,
) -> dict[str, Any]:
    """The likeliest first tokens with θ injected at each of some blocks, in one trace a batch.

    Args:
        demonstrated: batches of one prompt, whose suffixes are all that is asked after the same
            demonstrations.
        alone: batches of the queries that θ is injected into.
        theta: injected at each of `layers`, which ascend.
        adds: θ is added to the state at the arrow; else it replaces it.

    Returns:
        Probabilities and tokens each: demonstrated, of every suffix, (suffix, top); alone, of every
        query, (prompt, 1 + layer, top): the baseline, then θ at each layer. A probability is finite
        where all its logits were.
    """
    nnsight, at = model.nnsight, hook_points(model)
    candidates = [NO_INJECTION, *layers]
    with model.session(job):
        with torch.no_grad():
            at = probe_blocks(nnsight, at, demonstrated[0])
            shown, swept = [], []
            for batch in demonstrated:
                _, logits = read_theta(nnsight, at, batch)
                shown.append(most_probable(logits[0], top))
            for batch in alone:
                before = read_query(nnsight, at, batch)
                put = torch.cat([theta[:1], theta]).to(at["like"])  # the baseline's is not injected
                put = put.expand(batch["prompts"], -1, -1)  # (prompt, 1 + layer, hidden)
                if adds:
                    states, _ = read_arrow(nnsight, at, batch, before, [0])
                    put = put + states[:, candidates]
                logits = apply_theta(nnsight, at, batch, before, put, candidates)
                swept.append(most_probable(logits, top))
            found: Any = {
                "demonstrated": [torch.cat(parts) for parts in zip(*shown, strict=True)],
                "alone": [torch.cat(parts) for parts in zip(*swept, strict=True)],
            }
            found = found.save()
    suffixes = sum(batch["per_prompt"] for batch in demonstrated)
    prompts = sum(batch["prompts"] for batch in alone)
    for kind, rows in (("demonstrated", (suffixes,)), ("alone", (prompts, len(candidates)))):
        for part in found[kind]:
            require_shapes({kind: part}, {kind: (*rows, top)}, job)
    return dict(found)


def most_probable(logits: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Probabilities and the likeliest tokens, (…, top), as of a softmax that is not written out."""
    logits = logits.float()
    largest = logits.topk(top, -1)
    probabilities = (largest.values - logits.logsumexp(-1, keepdim=True)).exp()
    return probabilities.cpu(), largest.indices.cpu()

"""What every method's session does around the method: pooling, regular answers, measures.

Runs inside a session; see `icl_vectors.methods`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.labels import likeliest
from icl_vectors.graph.passes import read_whole


def pooled(
    read: Callable[..., Tensor],
    fit: Callable[..., Any] | None,
    model: Any,
    at: dict[str, Any],
    batches: Sequence[dict[str, Any]],
    progress: Callable[[str, int], None] | None = None,
) -> Any:
    """What a method sees in all contexts, (context, …), or what it fits on them."""
    if fit is not None:
        return fit(model, at, batches, progress)
    return torch.cat([read(model, at, batch) for batch in batches])


def vectors_for(
    read: Callable[..., Tensor],
    make: Callable[..., Tensor],
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    pool: Any,
) -> Tensor:
    """A method's vectors for each prompt of a batch, (prompt, …, hidden).

    Of its own demonstrations, or of the contexts that the batch's `mix` (prompt, slot, context)
    names; with several slots their axis follows that of the prompts. Without `mix`, of what was
    fitted and of what is read of the prompt.
    """
    vectors: Tensor
    if pool is None:
        vectors = make(model, at, read(model, at, batch))
        return vectors
    if "mix" not in batch:
        vectors = make(model, at, (pool, read(model, at, batch)))
        return vectors
    mixed = torch.einsum("psc,c...->ps...", batch["mix"].to(pool), pool)
    return make(model, at, mixed[:, 0] if mixed.shape[1] == 1 else mixed)


def uses_own(variant: dict[str, Any]) -> bool:
    """Whether a variant takes the test prompts' own vectors, as they are or for their norms."""
    return all(variant[key] is None for key in ("given", "reads", "contexts"))


def vectors_of(
    variant: dict[str, Any],
    number: int,
    read: Callable[..., Tensor],
    make: Callable[..., Tensor],
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    pool: Any,
    own: Any,
) -> Tensor:
    """A variant's vectors for one test batch, (prompt, …, hidden); see `run_method`.

    Args:
        number: of the batch.
        own: the method's own vectors for it, where a variant uses them.
    """
    vectors: Tensor
    if variant["given"] is not None:
        vectors = variant["given"][None].expand(batch["prompts"], *variant["given"].shape)
    elif uses_own(variant):
        vectors = own
    else:
        source = batch if variant["reads"] is None else variant["reads"][number]
        vectors = vectors_for(read, make, model, at, source, pool)
    if variant["noise"] is None:
        return vectors
    draw = torch.Generator().manual_seed(variant["noise"] + number)
    noise = torch.randn(vectors.shape, generator=draw).to(vectors)
    size = vectors.norm(dim=-1, keepdim=True)
    scaled: Tensor = noise * size / noise.norm(dim=-1, keepdim=True)
    return scaled


def answer_whole(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """Logits after demonstrations and query, the regular answer, (prompt, 1, vocab)."""
    return read_whole(model, at, batch["whole"])[:, None]


def measure(logits: Tensor, regular: Tensor, batch: dict[str, Any], rest: Tensor) -> list[Tensor]:
    """How an answer compares with the accepted ones and with the regular distribution.

    Args:
        logits, regular: (prompt, 1, vocab).
        batch: with accepted first tokens, padded with −1, (prompt, answer), and the labels.
        rest: see `likeliest`, (prompt, 1, label).

    Returns:
        What is answered, a token or a label by its index; log-probability and rank (1 is the
        likeliest) of the likeliest accepted token; total variation, and Kullback–Leibler
        divergence from the regular distribution in nats; the likeliest token; (prompt,) each.
    """
    accepted = batch["accepted"]
    answer, largest = likeliest(logits, batch, rest)
    own, other = (one[:, 0].float().log_softmax(-1) for one in (logits, regular))
    allowed = (accepted >= 0).to(own.device)
    scores = own.gather(-1, accepted.clamp(min=0).to(own.device))
    best = scores.masked_fill(~allowed, -torch.inf).max(-1).values  # (prompt,)
    rank = (own > best[:, None]).sum(-1) + 1
    variation = (own.exp() - other.exp()).abs().sum(-1) / 2
    divergence = (other.exp() * (other - own)).nan_to_num(0.0).sum(-1).clamp(min=0)
    found = (answer[:, 0], best, rank, variation, divergence, largest.indices[:, 0])
    return [part.cpu() for part in found]

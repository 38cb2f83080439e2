"""The likeliest of a task's labels in place of the likeliest token; goes over whole to a server."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import read_theta


def likeliest(logits: Tensor, batch: dict[str, Any], rest: Tensor) -> tuple[Tensor, Any]:
    """What is answered, and the largest logits with their tokens, (…) each.

    An answer is the likeliest token, or the index of the likeliest label.

    Labels compete by their first tokens; those that share the likeliest one by all their tokens.

    Args:
        logits: after the arrow, (…, vocab).
        batch: with the key `labels` where these are compared, see `Labels.add`.
        rest: log-probability of each label's tokens after the first, (…, label).
    """
    largest = logits.max(-1)
    if "labels" not in batch:
        return largest.indices.cpu(), largest
    firsts = batch["labels"]["first"].to(logits.device)
    scores = logits.float().log_softmax(-1)[..., firsts]  # (…, label)
    behind = scores < scores.amax(-1, keepdim=True)
    best = (
        (torch.zeros_like(scores) + rest.to(scores.device))
        .masked_fill(behind, -torch.inf)
        .argmax(-1)
    )
    return best.cpu(), largest


def right_of(batch: dict[str, Any]) -> Tensor:
    """What answers are compared with: accepted first tokens or labels, (prompt, answer)."""
    right: Tensor = batch["labels"]["accepted"] if "labels" in batch else batch["accepted"]
    return right


def further_of(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """The batch again with the first tokens of a label after each arrow, where labels share them.

    One for each such beginning; `next` is the token with which each label goes on, or −1.
    """
    found: list[dict[str, Any]] = batch["labels"]["further"] if "labels" in batch else []
    return found


def following(logits: Tensor, further: dict[str, Any]) -> Tensor:
    """Log-probability of the next token of each label, 0 where it does not go on, (…, label)."""
    tokens = further["next"].to(logits.device)
    scores = logits.float().log_softmax(-1)[..., tokens.clamp(min=0)]
    return scores.masked_fill(tokens < 0, 0.0)


def rest_of(
    answer: Callable[..., Tensor], model: Any, at: dict[str, Any], batch: dict[str, Any], *more: Any
) -> Tensor:
    """`rest` of `likeliest`, (prompt, way, label); zeros where first tokens tell labels apart.

    Args:
        answer: (model, at, batch, *more) → logits, (prompt, way, vocab).
    """
    rest = torch.zeros(1, 1, 1)
    for further in further_of(batch):
        logits = answer(model, at, further, *more)
        rest = rest.to(logits.device) + following(logits, further)
    return rest


def answer_suffixes(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """Logits after demonstrations and query or dummies, (prompt, suffix, vocab)."""
    return read_theta(model, at, batch)[1]


def answer_injected(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    start: Callable[..., Any],
    inject: Callable[..., Tensor],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """Logits after the query alone with a vector injected, (prompt, candidate, vocab)."""
    return inject(model, at, batch, start(model, at, batch), vectors, candidates)

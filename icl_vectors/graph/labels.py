"""The likeliest of a task's labels in place of the likeliest token; goes over whole to a server."""

from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import apply_theta, read_query, read_theta


def likeliest(logits: Tensor, batch: dict[str, Any], rest: Any = 0.0) -> tuple[Tensor, Any]:
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
    best = (torch.zeros_like(scores) + rest).masked_fill(behind, -torch.inf).argmax(-1)
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


def rest_demonstrated(model: Any, blocks: list[Any], head: Any, batch: dict[str, Any]) -> Any:
    """`rest` after demonstrations and query or dummies, (prompt, suffix, label)."""
    rest: Any = 0.0
    for further in further_of(batch):
        rest = rest + following(read_theta(model, blocks, head, further)[1], further)
    return rest


def rest_applied(
    model: Any,
    blocks: list[Any],
    head: Any,
    batch: dict[str, Any],
    theta: Tensor,
    at_layers: list[int],
    in_tuple: bool,
) -> Any:
    """`rest` after the query alone with θ injected at its arrow, (prompt, candidate, label)."""
    rest: Any = 0.0
    for further in further_of(batch):
        before = read_query(model, head, further)
        logits = apply_theta(model, blocks, head, further, before, theta, at_layers, in_tuple)
        rest = rest + following(logits, further)
    return rest

"""What methods are compared with: the prompt with its demonstrations, and the query alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.read import read_plain
from icl_vectors.methods.cost import tokens_of
from icl_vectors.methods.harness import answer_whole
from icl_vectors.methods.method import Candidate, Method, as_made, nothing


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """Nothing is read: an empty vector for each prompt."""
    return torch.zeros(batch["prompts"], 1)


def demonstrate(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    started: None,
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """In-context learning: demonstrations and query, nothing injected."""
    return answer_whole(model, at, batch)


def ask(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    started: None,
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """The query alone, nothing injected."""
    return read_plain(model, at, batch)[2][:, None]


def only(layers: Sequence[int], options: Mapping[str, Any]) -> list[list[Candidate]]:
    """Nothing is to be chosen."""
    return [[()]]


def cost_of_demonstrating(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """The whole prompt once."""
    return 0, 0, tokens_of(batch, "whole") * blocks


def cost_of_asking(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """The query once."""
    return 0, 0, tokens_of(batch, "query") * blocks


REGULAR = Method(
    name="regular",
    title="in-context learning",
    source="Brown et al. 2020, arXiv 2005.14165",
    read=read,
    make=as_made,
    start=nothing,
    inject=demonstrate,
    candidates=only,
    names=(),
    cost=cost_of_demonstrating,
    inputs=("whole",),  # so that with other demonstrations it answers those
)
ZERO_SHOT = Method(
    name="zero-shot",
    title="the query alone",
    source="",
    read=read,
    make=as_made,
    start=nothing,
    inject=ask,
    candidates=only,
    names=(),
    cost=cost_of_asking,
)

"""Encoded prompts as padded tensors: what goes up with one nnsight session.

Each batch is a plain dict of tensors, so that it can be sent to a server that has never heard of
this package. Padding stands where it changes nothing: left of a whole prompt, right of a suffix.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from icl_vectors.encoding import EncodedPrompt

Batch = dict[str, Any]
PAD = 0  # any token: padding is masked


def make_batches(
    prompts: Sequence[EncodedPrompt],
    batch_size: int,
    takes_positions: bool,
    with_query: bool = True,
) -> list[Batch]:
    """Batches of at most `batch_size` prompts, in order; `with_query`: for regular answers too."""
    return [
        _batch(prompts[start : start + batch_size], takes_positions, with_query)
        for start in range(0, len(prompts), batch_size)
    ]


def _batch(prompts: Sequence[EncodedPrompt], takes_positions: bool, with_query: bool) -> Batch:
    """The inputs of the four traces of one batch of prompts.

    Keys:
        prompts: their number; per_prompt: suffixes of each (query and dummies).
        asked: 1 where the query is the first suffix, else 0.
        shared: model inputs of the demonstrations, (prompt, token), or None.
        suffixes: model inputs of query→ and dummy→, (prompt × suffix, token).
        arrows: where each suffix has its arrow, (prompt × suffix,).
        before: model inputs of the query alone up to its arrow, (prompt, token), or None.
        arrow: model inputs of that arrow, (prompt, 1).
        accepted: accepted first tokens, padded with −1, (prompt, answer).
    """
    asked = int(with_query)
    per_prompt = len(prompts[0].suffixes) - 1 + asked
    shared, shared_mask = _pad([prompt.shared for prompt in prompts], side="left")
    suffixes = [suffix for prompt in prompts for suffix in prompt.suffixes[1 - asked :]]
    suffix_ids, suffix_mask = _pad(suffixes, side="right")
    alone, alone_mask = _pad([prompt.alone for prompt in prompts], side="left")
    accepted, accepted_mask = _pad([prompt.accepted for prompt in prompts], side="right")
    mask = torch.cat([shared_mask.repeat_interleave(per_prompt, 0), suffix_mask], 1)

    def inputs(ids: Tensor, whole_mask: Tensor, start: int, end: int) -> dict[str, Tensor] | None:
        positions = (whole_mask.cumsum(-1) - 1).clamp(min=0)[:, start:end]
        given = {"input_ids": ids, "attention_mask": whole_mask[:, :end]}
        if takes_positions:
            given["position_ids"] = positions
        return given if ids.shape[1] else None

    return {
        "prompts": len(prompts),
        "per_prompt": per_prompt,
        "asked": asked,
        "shared": inputs(shared, shared_mask, 0, shared.shape[1]),
        "suffixes": inputs(suffix_ids, mask, shared.shape[1], mask.shape[1]),
        "arrows": torch.tensor([len(suffix) - 1 for suffix in suffixes]),
        "before": inputs(alone[:, :-1], alone_mask, 0, alone.shape[1] - 1),
        "arrow": inputs(alone[:, -1:], alone_mask, alone.shape[1] - 1, alone.shape[1]),
        "accepted": accepted.where(accepted_mask.bool(), -1),
    }


def whole_prompts(
    prompts: Sequence[Sequence[int]], takes_positions: bool
) -> dict[str, Int[Tensor, "prompt token"]]:
    """Model inputs of whole prompts, left-padded so that each ends at its arrow."""
    ids, mask = _pad(prompts, side="left")
    inputs = {"input_ids": ids, "attention_mask": mask}
    if takes_positions:
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    return inputs


def _pad(
    rows: Sequence[Sequence[int]], side: str
) -> tuple[Int[Tensor, "row token"], Int[Tensor, "row token"]]:
    """Rows of unequal length as one tensor, and the mask of what is not padding."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), PAD)  # (row, token)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(len(row))
        ids[index, place] = torch.tensor(row, dtype=torch.long)
        mask[index, place] = 1
    return ids, mask


def layer_groups(layers: Sequence[int], size: int) -> Iterator[list[int]]:
    """Candidate layers in groups that are swept in one trace, lowest first."""
    ordered = sorted(layers)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]

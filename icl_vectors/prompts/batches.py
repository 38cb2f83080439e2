"""Encoded prompts as tensors: what goes up with one nnsight session.

Each batch is a plain dict of tensors, so that it can be sent to a server that has never heard of
this package. A model takes prompts in one of two ways. *cached*: the demonstrations once, the rest
on their keys and values, padded where it changes nothing (left of a whole prompt, right of a
suffix). *whole*: every prompt in one piece, those of equal length together, without padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from icl_vectors.prompts.encoding import EncodedPrompt

Batch = dict[str, Any]
Part = dict[str, Any]  # rows that run in one trace
PAD = 0  # any token: padding is masked


@dataclass(frozen=True)
class Way:
    """How a model takes prompts.

    Attributes:
        takes_positions: whether forward accepts `position_ids`.
        cached: keys and values are kept and prompts padded; else whole prompts of equal length.
        row_axis: of the states: 0, or 1 where parallel residual streams come first.
    """

    takes_positions: bool
    cached: bool = True
    row_axis: int = 0

    @property
    def name(self) -> str:
        return "cached" if self.cached else "whole"


def make_batches(
    prompts: Sequence[EncodedPrompt],
    batch_size: int,
    way: Way,
    with_query: bool = True,
    after: int = 0,
) -> list[Batch]:
    """Batches of at most `batch_size` prompts, in order.

    Args:
        with_query: for regular answers too.
        after: how many tokens the prompts have after their arrows.
    """
    make = _cached if way.cached else _whole
    return [
        make(prompts[start : start + batch_size], way, int(with_query), after)
        for start in range(0, len(prompts), batch_size)
    ]


def _cached(prompts: Sequence[EncodedPrompt], way: Way, asked: int, after: int) -> Batch:
    """The inputs of the four traces of one batch of prompts.

    Keys:
        prompts: their number; per_prompt: suffixes of each (query and dummies).
        asked: 1 where the query is the first suffix, else 0.
        shared: model inputs of the demonstrations, (prompt, token), or None.
        suffixes: parts of query→ and dummy→, (prompt × suffix, token).
        before: model inputs of the query alone up to its arrow, (prompt, token), or None.
        arrow: parts of that arrow and what is after it, (prompt, 1 + after), or of the whole query.
        accepted: accepted first tokens, padded with −1, (prompt, answer).
    """
    per_prompt = len(prompts[0].suffixes) - 1 + asked
    shared, shared_mask = _pad([prompt.shared for prompt in prompts], side="left")
    suffixes = [suffix for prompt in prompts for suffix in prompt.suffixes[1 - asked :]]
    suffix_ids, suffix_mask = _pad(suffixes, side="right")
    alone, alone_mask = _pad([prompt.alone for prompt in prompts], side="left")
    mask = torch.cat([shared_mask.repeat_interleave(per_prompt, 0), suffix_mask], 1)
    arrows = torch.tensor([len(suffix) - 1 for suffix in suffixes])

    def inputs(ids: Tensor, whole_mask: Tensor, start: int, end: int) -> Any:
        positions = (whole_mask.cumsum(-1) - 1).clamp(min=0)[:, start:end]
        given = {"input_ids": ids, "attention_mask": whole_mask[:, :end]}
        if way.takes_positions:
            given["position_ids"] = positions
        return given if ids.shape[1] else None

    of_suffixes = inputs(suffix_ids, mask, shared.shape[1], mask.shape[1])
    width, own = alone.shape[1], 1 + after
    arrow = inputs(alone[:, -own:], alone_mask, width - own, width)
    return {
        "prompts": len(prompts),
        "per_prompt": per_prompt,
        "asked": asked,
        "shared": inputs(shared, shared_mask, 0, shared.shape[1]),
        "suffixes": [{**_part(of_suffixes, range(len(suffixes)), way), "arrows": arrows}],
        "before": inputs(alone[:, :-own], alone_mask, 0, width - own),
        "arrow": [_part(arrow, range(len(prompts)), way, -own)],
        "accepted": pad_answers([one.first or one.accepted for one in prompts]),
    }


def _whole(prompts: Sequence[EncodedPrompt], way: Way, asked: int, after: int) -> Batch:
    """The same keys where nothing is kept: suffixes and arrow are whole prompts."""
    rows = [one.shared + suffix for one in prompts for suffix in one.suffixes[1 - asked :]]
    return {
        "prompts": len(prompts),
        "per_prompt": len(prompts[0].suffixes) - 1 + asked,
        "asked": asked,
        "shared": None,
        "suffixes": whole_prompts(rows, way),
        "before": None,
        "arrow": whole_prompts([one.alone for one in prompts], way, -1 - after),
        "accepted": pad_answers([one.first or one.accepted for one in prompts]),
    }


def whole_prompts(prompts: Sequence[Sequence[int]], way: Way, at: int = -1) -> list[Part]:
    """Whole prompts as parts, each of which ends at its arrow: padded at the left, or by length.

    Keys of a part:
        inputs: of the model, (row, token); rows: which of the prompts these are.
        arrows: the token that is read in each row, from the end; at: the one that is replaced.
        cached, row_axis: as of the way.
    """
    if not way.cached:
        lengths = sorted({len(prompt) for prompt in prompts})
        return [_of_length(prompts, length, way, at) for length in lengths]
    ids, mask = _pad(prompts, side="left")
    inputs = {"input_ids": ids, "attention_mask": mask}
    if way.takes_positions:
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    return [_part(inputs, range(len(prompts)), way, at)]


def _of_length(prompts: Sequence[Sequence[int]], length: int, way: Way, at: int) -> Part:
    rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
    return _part({"input_ids": torch.tensor([list(prompts[row]) for row in rows])}, rows, way, at)


def _part(inputs: dict[str, Tensor], rows: Sequence[int], way: Way, at: int = -1) -> Part:
    index = torch.tensor(list(rows))
    how = {"cached": way.cached, "row_axis": way.row_axis, "at": at}
    return {"inputs": inputs, "rows": index, "arrows": torch.full_like(index, -1), **how}


def pad_answers(rows: Sequence[Sequence[int]]) -> Int[Tensor, "prompt answer"]:
    """Accepted answers of each prompt, padded with −1."""
    accepted, mask = _pad(rows, side="right")
    return accepted.where(mask.bool(), -1)


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

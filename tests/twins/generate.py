"""Greedy answers by transformers' own `generate`, θ injected by hooks while the prompt is read."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.twins.blocks import watched

PAD = 0


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    rows: Sequence[Sequence[int]],
    steps: int,
    *,
    put_in: dict[int, Tensor] | None = None,
    added: bool = False,
    ends: Sequence[int] = (),
) -> list[list[int]]:
    """The tokens after each row, up to the first of `ends`.

    Args:
        rows: prompts of any lengths; shorter ones are padded on the left.
        put_in: for a block, (hidden) or (row, hidden): its last output while the prompt is read.
        added: the vector is added to that output; else it replaces it.
    """
    width = max(map(len, rows))
    ids = torch.tensor([[PAD] * (width - len(row)) + list(row) for row in rows])  # (row, token)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    pending = dict(put_in or {})

    def put(layer: int, state: Tensor) -> None:
        if layer in pending:  # only once: while the prompt is read
            vector = pending.pop(layer).to(state)
            state[:, -1] = state[:, -1] + vector if added else vector

    plain: Any = model  # `generate` has no types
    with watched(model, put) if pending else nullcontext():
        output = plain.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=steps,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(ends) or None,
            pad_token_id=PAD,
        )
    return [_until(row, ends) for row in output[:, width:].tolist()]


def _until(tokens: list[int], ends: Sequence[int]) -> list[int]:
    for index, token in enumerate(tokens):
        if token in ends:
            return tokens[:index]
    return tokens

"""Left-padded batches of token rows, with the mask and the positions that make padding exact."""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Token ids, what of them counts, and where each token stands in its row."""

    ids: Tensor  # (batch, token)
    mask: Tensor  # (batch, past + token)
    positions: Tensor  # (batch, token)

    def inputs(self) -> dict[str, Tensor]:
        """The batch as a model's keyword arguments."""
        return {
            "input_ids": self.ids,
            "attention_mask": self.mask,
            "position_ids": self.positions,
        }

    def rows(self, start: int, size: int) -> "Batch":
        """Some rows of it."""
        return Batch(*(tensor[start : start + size] for tensor in self))


def left_padded(rows: list[list[int]], device: torch.device) -> Batch:
    """Rows of unequal lengths, padded on the left with token 0, which the mask leaves out."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])  # (batch, token)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return Batch(ids.to(device), mask.to(device), positions(mask).to(device))


def continued(past_mask: Tensor, batch: Batch) -> Batch:
    """The batch as it goes on after a cached past of the same rows, (batch, past)."""
    mask = torch.cat([past_mask, batch.mask], dim=1)  # (batch, past + token)
    return Batch(batch.ids, mask, positions(mask)[:, -batch.ids.shape[1] :])


def positions(mask: Tensor) -> Tensor:
    """The place of each token among those that count; 0 for padding."""
    return (mask.cumsum(-1) - 1).clamp(min=0)  # (batch, token)

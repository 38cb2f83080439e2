"""What a method computes, in layer-tokens (one token through one block, padding included).

Each function is a method's `cost`: layer-tokens of reading a batch, of starting, of putting in.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def cost_of_replacing(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """States are read, and replaced on a cached query; blocks up to the lowest are not run."""
    started = _tokens(batch, "before") * blocks
    return _reading(batch, blocks), started, _arrows(batch, candidates, blocks)


def cost_of_adding(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """As replacing, but the query's own states at its arrow are needed first."""
    reading, started, putting = cost_of_replacing(batch, candidates, blocks)
    return reading, started + _tokens(batch, "arrow") * blocks, putting


def cost_of_first_blocks(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """Attention outputs are replaced on a cached query; every block is run."""
    started = _tokens(batch, "before") * blocks
    rows = int(batch["prompts"]) * len(candidates)
    return _reading(batch, blocks), started, rows * blocks


def cost_of_everywhere(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """Inputs and outputs are read alone; the whole query is run once a candidate."""
    putting = _tokens(batch, "query") * len(candidates) * blocks
    return _tokens(batch, "pairs") * blocks, 0, putting


def cost_of_few_shot(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """The whole prompt is run once, and again above the block of each candidate."""
    whole = _tokens(batch, "whole")
    again = sum(blocks - 1 - int(layer) for (layer, *_) in candidates)
    return _reading(batch, blocks), whole * blocks, whole * again


def cost_of_ranking(batch: Mapping[str, Any], heads: int, blocks: int) -> int:
    """The indirect effects on a batch of corrupted prompts, all heads of all blocks."""
    once = (_tokens(batch, "before") + _tokens(batch, "arrow")) * blocks
    return once + int(batch["prompts"]) * heads * sum(range(1, blocks + 1))


def _reading(batch: Mapping[str, Any], blocks: int) -> int:
    return (_tokens(batch, "shared") + _tokens(batch, "suffixes")) * blocks


def _arrows(batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int) -> int:
    lowest = min(int(candidate[0]) for candidate in candidates)
    return int(batch["prompts"]) * len(candidates) * (blocks - 1 - lowest)


def _tokens(batch: Mapping[str, Any], key: str) -> int:
    return int(batch[key]["input_ids"].numel()) if batch[key] is not None else 0

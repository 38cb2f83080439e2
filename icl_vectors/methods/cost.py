"""What a method computes, in layer-tokens (one token through one block, padding included).

Each function is a method's `cost`: layer-tokens of reading a batch, of starting, of putting in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

BACKWARD = 2  # passes that a backward pass counts as


def cost_of_replacing(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """States are read, and replaced; on a cached query blocks up to the lowest are not run."""
    started = tokens_of(batch, "before") * blocks
    return _reading(batch, blocks), started, _arrows(batch, candidates, blocks)


def cost_of_adding(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """As replacing, but the query's own states at its arrow are needed first."""
    reading, started, putting = cost_of_replacing(batch, candidates, blocks)
    return reading, started + tokens_of(batch, "arrow") * blocks, putting


def cost_of_first_blocks(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """Attention outputs are replaced on a cached query; every block is run."""
    started = tokens_of(batch, "before") * blocks
    putting = tokens_of(batch, "arrow") * len(candidates) * blocks
    return _reading(batch, blocks), started, putting


def cost_of_everywhere(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """Inputs and outputs are read alone; the whole query is run once a candidate."""
    putting = tokens_of(batch, "query") * len(candidates) * blocks
    return tokens_of(batch, "pairs") * blocks, 0, putting


def cost_of_few_shot(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """The whole prompt is run once, and again above the block of each candidate; or anew."""
    whole = tokens_of(batch, "whole")
    if not is_cached(batch):
        return _reading(batch, blocks), 0, whole * blocks * len(candidates)
    again = sum(blocks - 1 - int(layer) for (layer, *_) in candidates)
    return _reading(batch, blocks), whole * blocks, whole * again


def cost_of_learned(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """As replacing, but nothing is read of the prompts that get the vectors."""
    return 0, *cost_of_replacing(batch, candidates, blocks)[1:]


def cost_of_linear(
    batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int
) -> tuple[int, int, int]:
    """As adding; the query's own states are what the map is given."""
    _, started, putting = cost_of_adding(batch, candidates, blocks)
    return started, started, putting


def cost_of_training(batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int) -> int:
    """Mean θ, the queries once, and each block's and rate's steps; backward counts twice."""
    taught = batch.get("taught", [])
    once = _reading(batch, blocks) + sum(tokens_of(one, "before") for one in taught) * blocks
    most: dict[tuple[int, float], int] = {}
    for layer, rate, steps in candidates:
        most[layer, rate] = max(steps, most.get((layer, rate), 0))
    ran = {layer: blocks - layer - 1 if is_cached(batch) else blocks for layer, _ in most}
    passes = sum(
        steps * (ran[layer] + BACKWARD * (blocks - layer - 1)) for (layer, _), steps in most.items()
    )
    return once + sum(tokens_of(one, "arrow") for one in taught) * passes


def cost_of_regression(batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int) -> int:
    """Each context's query once with its demonstrations and once without."""
    tokens = sum(tokens_of(batch, key) for key in ("whole", "before", "arrow"))
    return tokens * blocks


def cost_of_ranking(batch: Mapping[str, Any], heads: int, blocks: int) -> int:
    """The indirect effects on a batch of corrupted prompts, all heads of all blocks."""
    once = (tokens_of(batch, "before") + tokens_of(batch, "arrow")) * blocks
    return once + int(batch["prompts"]) * heads * sum(range(1, blocks + 1))


def _reading(batch: Mapping[str, Any], blocks: int) -> int:
    return (tokens_of(batch, "shared") + tokens_of(batch, "suffixes")) * blocks


def _arrows(batch: Mapping[str, Any], candidates: Sequence[Any], blocks: int) -> int:
    lowest = min(int(candidate[0]) for candidate in candidates)
    spared = lowest + 1 if is_cached(batch) else 0
    return tokens_of(batch, "arrow") * len(candidates) * (blocks - spared)


def is_cached(batch: Mapping[str, Any]) -> bool:
    """Whether a batch's arrows run on the keys and values of what comes before them."""
    return bool(batch["arrow"][0]["cached"])


def tokens_of(batch: Mapping[str, Any], key: str) -> int:
    """Tokens of a model input of a batch, or of all its parts, padding included."""
    given = batch[key] or []
    parts = [given] if isinstance(given, Mapping) else [part["inputs"] for part in given]
    return sum(int(inputs["input_ids"].numel()) for inputs in parts)

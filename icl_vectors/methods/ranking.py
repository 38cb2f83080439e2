"""Heads ranked by their indirect effect, as a comparison keeps them in heads.json."""

import json
from math import isfinite
from pathlib import Path

from torch import Tensor

from icl_vectors.errors import IclVectorsError

RANKING_PROMPTS = 25  # prompts with shuffled answers on which heads are ranked


def read_ranking(
    path: str | Path, n_layers: int, n_heads: int
) -> tuple[tuple[int, int, float], ...]:
    """Heads, best first, from the `heads.json` of a comparison.

    Raises:
        IclVectorsError: it is no such file, or names heads that the model has not.
    """
    expected = f"--heads {path}: expected the heads.json of a comparison with this model"
    try:
        ranked = json.loads(Path(path).read_text("utf-8"))["ranked"]
        found = tuple((int(one["layer"]), int(one["head"]), float(one["effect"])) for one in ranked)
        if not all(isfinite(effect) for _, _, effect in found):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise IclVectorsError(
            f"{expected}, found {type(error).__name__}; make one with `icl-vectors compare "
            "--methods function`."
        ) from error
    inside = all(0 <= layer < n_layers and 0 <= head < n_heads for layer, head, _ in found)
    if not found or not inside or len({one[:2] for one in found}) != len(found):
        raise IclVectorsError(
            f"{expected}, found heads of another ({n_layers} blocks of {n_heads} heads here)."
        )
    return found


def best_first(effects: Tensor) -> list[tuple[int, int, float]]:
    """Heads as (layer, head, effect), the largest effect first, ties in the model's order.

    Args:
        effects: (layer, head).
    """
    values, order = effects.flatten().sort(descending=True, stable=True)
    heads = effects.shape[1]
    return [
        (index // heads, index % heads, round(value, 6))
        for value, index in zip(values.tolist(), order.tolist(), strict=True)
    ]

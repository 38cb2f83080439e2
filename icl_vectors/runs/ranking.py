"""Heads ranked by their indirect effect, as a comparison keeps them in heads.json."""

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from torch import Tensor

from icl_vectors.errors import IclVectorsError

RANKING_PROMPTS = 25  # prompts with shuffled answers on which heads are ranked


def read_ranking(
    given: Path | str | Sequence[Sequence[float]] | None, n_layers: int, n_heads: int
) -> tuple[tuple[int, int, float], ...] | None:
    """Heads with their effects, best first; None where there are none yet.

    Args:
        given: the `heads.json` of a comparison, or the ranking as a run.json stores it.

    Raises:
        IclVectorsError: it is no such file, or names heads that the model has not.
    """
    if given is None:
        return None
    shown = given if isinstance(given, str | Path) else "of the run"
    expected = f"--heads {shown}: expected the heads.json of a comparison with this model"
    try:
        if isinstance(given, str | Path):
            ranked = json.loads(Path(given).read_text("utf-8"))["ranked"]
            given = [(one["layer"], one["head"], one["effect"]) for one in ranked]
        found = tuple((int(layer), int(head), float(effect)) for layer, head, effect in given)
        if not all(isfinite(effect) for _, _, effect in found):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        unread = isinstance(error, OSError) and str(error.strerror).lower()
        raise IclVectorsError(
            f"{expected}, found {unread or 'a file without its ranked heads'}; make one with "
            "`icl-vectors compare --methods function`."
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

"""A task whose job takes longer than a server allows: dev by fewer layers, then test."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from icl_vectors.errors import OutOfTime
from icl_vectors.observer import Log
from icl_vectors.prompts.encoding import EncodedPrompt

Session = Callable[[bool, bool, Sequence[int]], dict[str, Any]]  # with dev?, with test?, layers
Choice = Callable[[torch.Tensor, torch.Tensor], int]  # of dev_swept and dev_own, the layer


def run_in_parts(
    session: Session,
    dev: Sequence[EncodedPrompt],
    layers: Sequence[int],
    log: Log,
    choose: Choice | None = None,
) -> dict[str, Any]:
    """Dev and test in one session; where time runs out, dev by halves of the layers, then test.

    The result is that of one session: the layers of dev are put together before the best one is
    chosen, by the same rule.

    Args:
        choose: another rule; dev is then a session of its own.

    Raises:
        OutOfTime: a single layer on dev, or test alone, takes too long.
    """
    ordered = sorted(layers)
    try:
        if choose is None:
            return session(True, True, ordered)
        parts = [session(True, False, ordered)]
    except OutOfTime as error:
        log(f"{error} Retrying with fewer layers per job.")
        parts = _by_layers(session, ordered, log)
    swept = torch.cat([part["dev_swept"] for part in parts], 1)  # (prompt, candidate)
    best = choose(swept, parts[0]["dev_own"]) if choose else _best(swept, dev, ordered)
    on_test = session(False, True, [best])
    states = [part["finite_states"] for part in [*parts, on_test]]
    logits = [torch.as_tensor(part["finite_logits"]) for part in [*parts, on_test]]
    return {
        **on_test,
        "dev_swept": swept,
        "dev_own": parts[0]["dev_own"],
        "finite_states": torch.stack(states).all(0),
        "finite_logits": torch.stack(logits).all(),
    }


def _by_layers(session: Session, layers: list[int], log: Log) -> list[dict[str, Any]]:
    """Dev at some layers, in ascending order, by halves where time runs out."""
    if len(layers) == 1:
        return [session(True, False, layers)]
    found: list[dict[str, Any]] = []
    middle = (len(layers) + 1) // 2
    for half in (layers[:middle], layers[middle:]):
        try:
            found.append(session(True, False, half))
        except OutOfTime as error:
            if len(half) == 1:
                raise
            log(f"{error} Retrying with fewer layers per job.")
            found += _by_layers(session, half, log)
    return found


def _best(swept: torch.Tensor, dev: Sequence[EncodedPrompt], layers: Sequence[int]) -> int:
    """The layer with most right answers on dev, ties to the lowest."""
    hits = [
        sum(token in one.accepted for token, one in zip(column, dev, strict=True))
        for column in swept.T.tolist()
    ]
    return layers[hits.index(max(hits))]

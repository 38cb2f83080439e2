"""Which decoder blocks are meant by `--layers`: all, A:B[:STEP] as in Python, or I,J,…

The best of them is chosen on dev in `graph/task.py`.
"""

import re
from collections.abc import Iterable

from icl_vectors.errors import IclVectorsError
from icl_vectors.given import whole_number, whole_numbers

NAMED = re.compile(r"-?\d+(\s*,\s*-?\d+)*")
SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")


def parse_layers(text: str | int | Iterable[int], n_layers: int) -> tuple[int, ...]:
    """Layers as 0-based indices, ascending; negative ones count from the end.

    Raises:
        IclVectorsError: the text can't be read, or names a layer that the model has not.
    """
    if not isinstance(text, str):
        single = whole_number(text)
        numbers = whole_numbers(text) if single is None else [single]
        if not numbers:
            raise _bad(text, n_layers)
        text = ",".join(map(str, numbers))
    text = text.strip()
    if text == "all":
        return tuple(range(n_layers))
    if match := SLICE.fullmatch(text):
        bounds = [int(part) if part else None for part in match.groups()]
        chosen = [] if bounds[2] == 0 else list(range(n_layers))[slice(*bounds)]
        outside = [b for b in bounds[:2] if b is not None and not -n_layers <= b <= n_layers]
    else:
        named = [int(part) for part in text.split(",")] if NAMED.fullmatch(text) else []
        outside = [layer for layer in named if not -n_layers <= layer < n_layers]
        chosen = [layer % n_layers for layer in named]
    if outside or not chosen:
        raise _bad(text, n_layers)
    return tuple(sorted(set(chosen)))


def parse_named_layers(text: str) -> list[int]:
    """The layers of "I" or "I,J,…", as they stand; how many a model has is not known yet.

    Raises:
        IclVectorsError: not of that form.
    """
    if not NAMED.fullmatch(text.strip()):
        raise IclVectorsError(f"--layer {text!r}: expected a block, such as 10, or several: 9,10.")
    return [int(part) for part in text.split(",")]


def parse_layer(layer: int, n_layers: int) -> int:
    """One layer as a 0-based index.

    Raises:
        IclVectorsError: the model has no such layer.
    """
    whole = whole_number(layer)
    if whole is None or not -n_layers <= whole < n_layers:
        raise IclVectorsError(
            f"layer {layer!r}: expected a whole number within 0 to {n_layers - 1} "
            f"(the model has {n_layers} blocks; −1 is the last)."
        )
    return whole % n_layers


def _bad(text: object, n_layers: int) -> IclVectorsError:
    return IclVectorsError(
        f"layers {text!r}: expected all, A:B[:STEP] or I,J,… within 0 to {n_layers - 1} "
        f"(the model has {n_layers} blocks; −1 is the last)."
    )

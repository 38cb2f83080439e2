"""Which decoder blocks are meant by `--layers`: all, A:B[:STEP] as in Python, or I,J,…"""

import re

from icl_vectors.errors import IclVectorsError

NAMED = re.compile(r"-?\d+(\s*,\s*-?\d+)*")
SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?")


def parse_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """Layers as 0-based indices, ascending; negative ones count from the end.

    Raises:
        IclVectorsError: the text can't be read, or names a layer that the model has not.
    """
    if not isinstance(text, str):
        raise _bad(repr(text), n_layers)
    text = text.strip()
    if text == "all":
        return tuple(range(n_layers))
    if match := SLICE.fullmatch(text):
        bounds = [int(part) if part else None for part in match.groups()]
        if bounds[2] == 0:
            raise _bad(text, n_layers)
        chosen = list(range(n_layers))[slice(*bounds)]
        outside = [b for b in bounds[:2] if b is not None and not -n_layers <= b <= n_layers]
    elif NAMED.fullmatch(text):
        named = [int(part) for part in text.split(",")]
        outside = [layer for layer in named if not -n_layers <= layer < n_layers]
        chosen = [layer % n_layers for layer in named]
    else:
        raise _bad(text, n_layers)
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
    whole = isinstance(layer, int) and not isinstance(layer, bool)
    if not whole or not -n_layers <= layer < n_layers:
        raise _bad(str(layer), n_layers)
    return layer % n_layers


def _bad(text: str, n_layers: int) -> IclVectorsError:
    return IclVectorsError(
        f"layers {text!r}: expected all, A:B[:STEP] or I,J,… within 0 to {n_layers - 1} "
        f"(the model has {n_layers} blocks; −1 is the last)."
    )

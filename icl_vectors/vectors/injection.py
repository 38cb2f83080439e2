"""Where and how a kept vector is injected, by what was asked and by the vector's method.

The injection itself is `apply_theta` in `graph/passes.py`.
"""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Literal, TypeAlias

from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.given import whole_number, whole_numbers
from icl_vectors.layers import parse_layer, parse_layers
from icl_vectors.methods.registry import find_method
from icl_vectors.models.load import Model
from icl_vectors.vectors.vector import TaskVector

Mode: TypeAlias = Literal["replace", "add"]
MODES = ("replace", "add")


def mode_of(theta: TaskVector, asked: Mode | None) -> str:
    """How a vector is injected: as asked, else as its method does it.

    Raises:
        IclVectorsError: its method is injected in one way only.
    """
    own = find_method(theta.method).mode if theta.method else "replace"
    if asked is not None and own not in MODES:
        raise IclVectorsError(
            f"--mode {asked} with a vector of the method {theta.method}: expected none; it goes "
            "in in a way of its own."
        )
    return asked or own


def takes_layers(theta: TaskVector) -> bool:
    """Whether blocks can be chosen for a vector; an in-context vector goes into all."""
    return theta.method != "icv"


def choose_layers(theta: TaskVector, layer: int | Iterable[int] | None = None) -> tuple[int, ...]:
    """The layers to use: those asked for, else the vector's best one, else its only one.

    Raises:
        IclVectorsError: the vector holds several layers and names no best one.
    """
    if layer is not None:
        single = whole_number(layer)
        several = whole_numbers(layer) if single is None else [single]
        if several is None:
            raise IclVectorsError(
                f"layer {layer!r}: expected a block, such as 10, or [9, 10], as whole numbers."
            )
        if not several:
            raise IclVectorsError("layer: expected one layer or several, found an empty list.")
        return tuple(several)
    if theta.best_layer is not None:
        return (theta.best_layer,)
    if len(theta.layers) == 1:
        return theta.layers
    raise IclVectorsError(
        f"this task vector holds {len(theta.layers)} layers and names no best one; "
        f"give layer (--layer), near {theta.layers[len(theta.layers) // 2]} as a start."
    )


def held_layers(model: Model, theta: TaskVector, layers: str | Iterable[int]) -> list[int]:
    """Layers of a vector, ascending: those asked for, or with "all" those that it holds.

    Raises:
        IclVectorsError: θ is no task vector, or the model has no such layer.
    """
    _require_vector(theta)
    return sorted(theta.layers if layers == "all" else parse_layers(layers, model.n_layers))


def _require_vector(theta: object) -> None:
    if not isinstance(theta, TaskVector):
        raise IclVectorsError(
            f"expected a task vector, found {type(theta).__name__}; read a file with "
            "TaskVector.load(…)."
        )


def what_goes_in(
    model: Model, theta: TaskVector, layer: int | Iterable[int] | None, scale: float, force: bool
) -> dict[int, Tensor]:
    """What is injected at which blocks, (hidden,) each.

    Raises:
        IclVectorsError: the vector belongs to another model, no layer is named, or θ is no task
            vector, or the scale no finite number.
    """
    _require_vector(theta)
    if not isinstance(scale, Real) or not math.isfinite(scale):
        raise IclVectorsError(f"--scale {scale}: expected a finite number.")
    scale = float(scale)
    theta.require_model(model, force=force)
    if not takes_layers(theta):
        if layer is not None:
            raise IclVectorsError(
                "--layer with an in-context vector: expected none, it is injected at all layers."
            )
        chosen = [*theta.layers]
    else:
        chosen = [parse_layer(one, model.n_layers) for one in choose_layers(theta, layer)]
    if theta.method == "state-vector":
        chosen = [*range(max(chosen) + 1)]
    return {one: theta.at(one) * scale for one in chosen}

"""A task vector as a thing one keeps: θ with where it comes from; computed with, compared."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.given import plain, whole_number, whole_numbers
from icl_vectors.prompts.template import Template, Turn
from icl_vectors.vectors.vector_file import as_text, described, no_vector, read_vector, write_vector
from icl_vectors.version import VERSION

if TYPE_CHECKING:
    from icl_vectors.models.model import Model

ALIKE = ("fingerprint", "layers", "template", "turn", "method")  # to be computed with


@dataclass(frozen=True, eq=False)
class TaskVector:
    """θ(S): the hidden state at the arrow, averaged over dummy queries (paper, section 2).

    `a - b`, `a + b`, `-a`, `2 * a`, `a / 2`, `sum([a, b, c])` and `TaskVector.mean([a, b, c])`
    give new vectors; what they were made of is in `made_by`. They are refused for vectors of
    different models, layers or templates.

    Attributes:
        vectors: outputs of decoder blocks, float32, (layer, hidden).
        layers: the block that each row belongs to, 0-based.
        model, revision, fingerprint, dtype, model_type: the model that formed it.
        template, turn: of the demonstrations; the turn of a chat that they were in.
        best_layer: the layer that a sweep chose on dev, or None.
        demonstrations, dummies: of one prompt; empty for a mean over prompts.
        instruction: stood in place of the demonstrations where θ was read; "" where they did.
        made_by: how it was computed from other vectors; "" where it was read from a model.
        version: of the package that made it.
        method: what kind of vector it is, which decides how `apply` injects it; see
            `icl_vectors.methods`.
        from_folder: whether `model` is a folder's path, so that it is never taken for a hub id;
            None where the file does not say.
    """

    vectors: Float[Tensor, "layer hidden"]
    layers: tuple[int, ...]
    model: str
    fingerprint: str
    dtype: str
    template: str
    task: str = ""
    revision: str | None = None
    best_layer: int | None = None
    seed: int | None = None
    demonstrations: tuple[tuple[str, str], ...] = ()
    dummies: tuple[str, ...] = ()
    model_type: str = ""
    made_by: str = ""
    version: str = VERSION
    method: str = "state"
    from_folder: bool | None = None
    turn: Turn = Turn()
    instruction: str = ""

    __array_ufunc__ = None  # so that NumPy leaves `np.float32(2) * theta` to `__rmul__`

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.layers) != len(self.vectors):
            raise IclVectorsError(
                f"task vector: expected (layer, hidden) with {len(self.layers)} layers, "
                f"found the shape {tuple(self.vectors.shape)}."
            )

    @classmethod
    def of_model(
        cls, model: "Model", form: Template, vectors: Tensor, **about: Any
    ) -> "TaskVector":
        """θ at every block of a model, (layer, hidden), read in prompts of a template."""
        return cls(
            vectors=vectors,
            layers=tuple(range(model.n_layers)),
            model=model.reference,
            from_folder=model.is_from_folder,
            revision=model.revision,
            fingerprint=model.fingerprint,
            dtype=model.dtype,
            model_type=model.config.model_type,
            template=form.text,
            turn=form.turn,
            **about,
        )

    @property
    def form(self) -> Template:
        """How its demonstrations and queries become text."""
        return Template(self.template, self.turn)

    def at(self, layer: int) -> Float[Tensor, " hidden"]:
        """θ at one decoder block; −1 is the last one where the vector holds all from block 0 on.

        Raises:
            IclVectorsError: this vector does not hold that layer.
        """
        count, whole = len(self.layers), whole_number(layer)
        if whole is not None and -count <= whole < 0 and self.layers == (*range(count),):
            whole += count
        if whole is None or whole not in self.layers:
            held = ", ".join(map(str, self.layers))
            raise IclVectorsError(f"layer {layer}: this task vector holds the layers {held}.")
        return self.vectors[self.layers.index(whole)]

    def only(self, layers: Iterable[int]) -> "TaskVector":
        """The same vector at fewer layers.

        Raises:
            IclVectorsError: they are no whole numbers, or this vector does not hold one of them.
        """
        numbers = whole_numbers(layers)
        if not numbers:
            raise IclVectorsError(f"layers {layers!r}: expected whole numbers, such as [9, 10].")
        kept = torch.stack([self.at(layer) for layer in numbers])
        return replace(self, vectors=kept, layers=tuple(numbers))

    def norms(self) -> list[float]:
        """The Euclidean length of θ at each of `layers`."""
        return [float(norm) for norm in self.vectors.norm(dim=-1)]

    def cosine(self, other: "TaskVector") -> Float[Tensor, " layer"]:
        """The cosine between two vectors at each layer."""
        _require_alike([self, other])
        found: Tensor = torch.cosine_similarity(self.vectors, other.vectors, dim=-1)
        return found

    @staticmethod
    def mean(vectors: "Iterable[TaskVector]") -> "TaskVector":
        """The mean of several vectors, such as those of one task from many demonstrations.

        Raises:
            IclVectorsError: no vectors, or of different models, layers or templates.
        """
        listed = list(vectors)
        _require_alike(listed)
        numbers = torch.stack([vector.vectors for vector in listed]).mean(0)  # (layer, hidden)
        named = ", ".join(dict.fromkeys(map(_name, listed)))
        return _combined(listed, numbers, f"mean of {len(listed)}: {named}")

    def __add__(self, other: "TaskVector") -> "TaskVector":
        _require_alike([self, other])
        numbers = self.vectors + other.vectors  # (layer, hidden)
        return _combined([self, other], numbers, f"{_name(self)} + {_name(other)}")

    def __sub__(self, other: "TaskVector") -> "TaskVector":
        _require_alike([self, other])
        numbers = self.vectors - other.vectors  # (layer, hidden)
        return _combined([self, other], numbers, f"{_name(self)} - {_name(other)}")

    def __mul__(self, factor: float) -> "TaskVector":
        factor = plain(factor)
        if not isinstance(factor, Real) or not math.isfinite(factor):
            expected = "task vector: expected a finite number to multiply by"
            raise IclVectorsError(f"{expected}, found {factor!r}.")
        numbers = self.vectors * float(factor)  # (layer, hidden)
        return replace(self, vectors=numbers, made_by=f"{float(factor):g} * {_name(self)}")

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "TaskVector":
        divisor = plain(divisor)
        if not isinstance(divisor, Real) or not divisor:
            expected = "task vector: expected a number other than 0 to divide by"
            raise IclVectorsError(f"{expected}, found {divisor!r}.")
        return self * (1 / float(divisor))

    def __neg__(self) -> "TaskVector":
        return self * -1

    def __radd__(self, start: object) -> "TaskVector":
        if not (isinstance(start, int) and start == 0):  # where sum() begins
            _require_alike([start, self])
        return self

    def save(self, path: str | Path) -> Path:
        """Write the vector as safetensors, its description in the header's metadata."""
        write_vector(Path(path), self.vectors, as_text(vars(self)))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "TaskVector":
        """Read a vector that `save` wrote.

        Raises:
            IclVectorsError: the file is missing, damaged, or not a task vector.
        """
        vectors, metadata = read_vector(Path(path))
        try:
            return cls(vectors=vectors, **described(metadata))
        except (KeyError, TypeError, ValueError) as error:
            raise no_vector(Path(path), error) from error

    def export_gguf(self, path: str | Path, layers: Sequence[int] | None = None) -> tuple[int, ...]:
        """Write a control vector for llama.cpp and repeng; see `icl_vectors.vectors.gguf`.

        Returns:
            The layers that were written: those given, else the best one, else all but block 0.
        """
        from icl_vectors.vectors.gguf import write_control_vector

        return write_control_vector(self, Path(path), layers)

    def require_model(self, model: "Model", *, force: bool = False) -> None:
        """Check that a model is the one that formed this vector.

        Args:
            force: accept another model of the same width and number of blocks.

        Raises:
            IclVectorsError: naming what differs.
        """
        width, highest = self.vectors.shape[1], max(self.layers, default=0)
        fits = width == model.hidden and highest < model.n_layers
        if fits and (force or self.fingerprint == model.fingerprint):
            return
        compared = (
            ("model_type", self.model_type, model.config.model_type),
            ("hidden size", width, model.hidden),
            ("block", highest if highest >= model.n_layers else "", f"{model.n_layers} blocks"),
            ("fingerprint", self.fingerprint, model.fingerprint),
            ("revision", self.revision, model.revision),
        )
        differing = [
            f"{what} {stated}, found {found}"
            for what, stated, found in compared
            if stated not in ("", found)
        ]
        raise IclVectorsError(
            f"this task vector belongs to {self.model}, found {model.reference} "
            f"({'; '.join(differing)}); open the model that formed it"
            + (", or use force=True (--force)." if fits else ": the shapes differ.")
        )

    def _repr_html_(self) -> str:
        from icl_vectors.vectors.info import describe_html

        return describe_html(self)

    def __repr__(self) -> str:
        held = f"layers {self.layers[0]}–{self.layers[-1]}" if self.layers else "no layers"
        held = f"layer {self.layers[0]}" if len(self.layers) == 1 else held
        best = "" if self.best_layer is None else f", best {self.best_layer}"
        made = f" = {self.made_by}" if self.made_by else ""
        made += f" after {self.instruction!r}" if self.instruction else ""
        made += " in a chat" if self.turn.tail else ""
        return (
            f"TaskVector({self.task or 'unnamed'!r}{made}, {held}{best}, "
            f"hidden={self.vectors.shape[1]}, model={self.model!r}, {self.dtype})"
        )


def _combined(vectors: Sequence[TaskVector], numbers: Tensor, made_by: str) -> TaskVector:
    """A vector made of others: what all of them share is kept, the rest is left out."""
    first = vectors[0]
    shared: dict[str, Any] = {
        name: getattr(first, name) if len({getattr(one, name) for one in vectors}) == 1 else empty
        for name, empty in (("task", ""), ("best_layer", None), ("seed", None), ("dtype", "mixed"))
    }
    shared |= {"demonstrations": (), "dummies": (), "instruction": "", "version": VERSION}
    return replace(first, vectors=numbers, made_by=made_by, **shared)


def _require_alike(vectors: Sequence[Any]) -> None:
    for one in vectors:
        if not isinstance(one, TaskVector):
            raise IclVectorsError(f"expected task vectors, found {type(one).__name__} ({one!r}).")
    if not vectors:
        raise IclVectorsError("expected task vectors to compute with, found none.")
    first = vectors[0]
    for one in vectors[1:]:
        for name in ALIKE:
            if getattr(one, name) != getattr(first, name):
                raise IclVectorsError(
                    f"expected task vectors of one model, its layers and one template, found "
                    f"{name} {getattr(first, name)} and {getattr(one, name)}."
                )


def _name(vector: TaskVector) -> str:
    return f"({vector.made_by})" if vector.made_by else (vector.task or "unnamed")

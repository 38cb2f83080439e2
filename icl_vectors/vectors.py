"""A task vector as a thing one keeps: θ with where it comes from, saved as safetensors."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.files import write_whole
from icl_vectors.version import VERSION

FORMAT = "icl_vectors.task_vector.1"


@dataclass(frozen=True, eq=False)
class TaskVector:
    """θ(S): the hidden state at the arrow, averaged over dummy queries (paper, section 2).

    Attributes:
        vectors: outputs of decoder blocks, float32, (layer, hidden).
        layers: the block that each row belongs to, 0-based.
        model, revision, fingerprint, dtype: the model that formed it.
        template: the template of the demonstrations.
        best_layer: the layer that a sweep chose on dev, or None.
        demonstrations, dummies: of one prompt; empty for a mean over prompts.
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
    version: str = VERSION

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.layers) != len(self.vectors):
            raise IclVectorsError(
                f"task vector: expected (layer, hidden) with {len(self.layers)} layers, "
                f"found the shape {tuple(self.vectors.shape)}."
            )

    def at(self, layer: int) -> Float[Tensor, " hidden"]:
        """θ at one decoder block.

        Raises:
            IclVectorsError: this vector does not hold that layer.
        """
        if layer not in self.layers:
            held = ", ".join(map(str, self.layers))
            raise IclVectorsError(f"layer {layer}: this task vector holds the layers {held}.")
        return self.vectors[self.layers.index(layer)]

    def only(self, layers: Sequence[int]) -> "TaskVector":
        """The same vector at fewer layers."""
        kept = torch.stack([self.at(layer) for layer in layers])
        return replace(self, vectors=kept, layers=tuple(layers))

    def save(self, path: str | Path) -> Path:
        """Write the vector as safetensors, its description in the header's metadata."""
        described = {"format": FORMAT, "task_vector": json.dumps(self._description())}
        tensors = {"vectors": self.vectors.contiguous().float().cpu()}
        write_whole(Path(path), save(tensors, metadata=described))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "TaskVector":
        """Read a vector that `save` wrote.

        Raises:
            IclVectorsError: the file is missing, damaged, or not a task vector.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise IclVectorsError(
                        f"{path}: expected a task vector ({FORMAT}), "
                        f"found format {metadata.get('format')!r}."
                    )
                vectors = file.get_tensor("vectors")
            return cls(vectors=vectors, **_described(json.loads(metadata["task_vector"])))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise IclVectorsError(
                f"{path}: expected a task vector as safetensors, found {_reason(error)}; "
                "make one with `icl-vectors extract`."
            ) from error

    def require_model(self, fingerprint: str, name: str) -> None:
        """Check that a model is the one that formed this vector.

        Raises:
            IclVectorsError: it is another model or another revision of it.
        """
        if fingerprint != self.fingerprint:
            raise IclVectorsError(
                f"this task vector belongs to {self.model} ({self.fingerprint}), "
                f"found {name} ({fingerprint}); open the model that formed it."
            )

    def _description(self) -> dict[str, Any]:
        described = asdict(replace(self, vectors=torch.empty(len(self.layers), 0)))
        del described["vectors"]
        return described

    def __repr__(self) -> str:
        held = f"layers {self.layers[0]}–{self.layers[-1]}" if self.layers else "no layers"
        best = "" if self.best_layer is None else f", best {self.best_layer}"
        return (
            f"TaskVector({self.task or 'unnamed'!r}, {held}{best}, "
            f"hidden={self.vectors.shape[1]}, model={self.model!r}, {self.dtype})"
        )


def _described(data: dict[str, Any]) -> dict[str, Any]:
    data["layers"] = tuple(data["layers"])
    data["demonstrations"] = tuple((input, output) for input, output in data["demonstrations"])
    data["dummies"] = tuple(data["dummies"])
    return data


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]

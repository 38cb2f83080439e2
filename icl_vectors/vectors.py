"""A task vector as a thing one keeps: θ with where it comes from, saved as safetensors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
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
TEXT = ("model", "fingerprint", "dtype", "template", "task", "version")


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
        tensors = {"vectors": self.vectors.contiguous().float().cpu()}
        content = save(tensors, metadata={"format": FORMAT, **self._description()})
        write_whole(Path(path), _with_sorted_header(content))
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
            return cls(vectors=vectors, **_described(metadata))
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

    def _description(self) -> dict[str, str]:
        """Every field but the vectors, as text: names as they are, the rest as JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in values.items()
            if name != "vectors"
        }

    def __repr__(self) -> str:
        held = f"layers {self.layers[0]}–{self.layers[-1]}" if self.layers else "no layers"
        best = "" if self.best_layer is None else f", best {self.best_layer}"
        return (
            f"TaskVector({self.task or 'unnamed'!r}, {held}{best}, "
            f"hidden={self.vectors.shape[1]}, model={self.model!r}, {self.dtype})"
        )


def _described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The fields that `_description` wrote."""
    described: dict[str, Any] = {name: metadata[name] for name in TEXT}
    described["layers"] = tuple(int(layer) for layer in json.loads(metadata["layers"]))
    for name in ("best_layer", "seed"):
        described[name] = json.loads(metadata[name])
    revision = metadata["revision"]
    described["revision"] = None if revision == "null" else revision
    pairs = json.loads(metadata["demonstrations"])
    described["demonstrations"] = tuple((str(input), str(output)) for input, output in pairs)
    described["dummies"] = tuple(str(dummy) for dummy in json.loads(metadata["dummies"]))
    return described


def _with_sorted_header(content: bytes) -> bytes:
    """The same safetensors file with its metadata in order, so that equal vectors are equal files.

    safetensors writes the keys of the metadata in an order that changes from run to run.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format's alignment
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]

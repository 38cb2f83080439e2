"""A task vector on disk: safetensors, its description in the header, a checksum of both."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from icl_vectors.errors import IclVectorsError, first_line
from icl_vectors.prompts.template import Turn
from icl_vectors.runs.files import write_whole

FORMAT = "icl_vectors.task_vector.1"
CHECKSUM = "sha256"  # of the description and the numbers: safetensors has none of its own

ABOUT = ("task", "model_type", "made_by", "version", "method", "instruction")
TEXT = ("model", "fingerprint", "dtype", "template", *ABOUT)
AS_JSON = ("layers", "best_layer", "seed", "demonstrations", "dummies", "turn", "from_folder")
# What files of earlier versions do not state.
LACKING = {"method": "state", "instruction": "", "turn": "[]", "from_folder": "null"}


def write_vector(path: Path, vectors: Tensor, description: Mapping[str, str]) -> None:
    """Write (layer, hidden) in float32, with text for people and programs in the header."""
    kept = vectors.contiguous().float().cpu()
    metadata = {"format": FORMAT, **description}
    metadata[CHECKSUM] = _checksum(kept, metadata)
    write_whole(path, _with_sorted_header(save({"vectors": kept}, metadata=metadata)))


def read_vector(path: Path) -> tuple[Tensor, dict[str, str]]:
    """The numbers and the description of a file that `write_vector` wrote.

    Raises:
        IclVectorsError: the file is missing, damaged in any byte, or not a task vector.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = dict(file.metadata() or {})
            if metadata.get("format") != FORMAT:
                raise IclVectorsError(
                    f"{path}: expected a task vector ({FORMAT}), "
                    f"found format {metadata.get('format')!r}."
                )
            vectors: Tensor = file.get_tensor("vectors")
    except (SafetensorError, OSError, ValueError) as error:
        raise no_vector(path, error) from error
    stated = metadata.pop(CHECKSUM, "none")
    if vectors.dtype is not torch.float32 or stated != _checksum(vectors, metadata):
        raise IclVectorsError(
            f"{path}: expected a task vector whose content has the checksum in its header, found "
            "another: the file is damaged; make or fetch it again."
        )
    return vectors, metadata


def no_vector(path: Path, error: BaseException) -> IclVectorsError:
    """The error for a file that can't be read as a task vector."""
    missing = isinstance(error, FileNotFoundError)
    found = "no such file" if missing else first_line(error, 160)
    return IclVectorsError(
        f"{path}: expected a task vector as safetensors, found {found}; "
        "make one with `icl-vectors extract`."
    )


def as_text(values: Mapping[str, Any]) -> dict[str, str]:
    """Every field of a task vector but its numbers: names as they are, the rest as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if name != "vectors"
    }


def described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The fields that `as_text` wrote."""
    metadata = {**LACKING, **metadata}
    found: dict[str, Any] = {name: metadata[name] for name in TEXT}
    found |= {name: json.loads(metadata[name]) for name in AS_JSON}
    found["revision"] = None if metadata["revision"] == "null" else metadata["revision"]
    found["turn"] = Turn(*found["turn"])
    found["layers"] = tuple(map(int, found["layers"]))
    found["dummies"] = tuple(map(str, found["dummies"]))
    pairs = found["demonstrations"]
    found["demonstrations"] = tuple((str(input), str(output)) for input, output in pairs)
    return found


def _checksum(vectors: Tensor, metadata: Mapping[str, str]) -> str:
    text = json.dumps(metadata, sort_keys=True, ensure_ascii=False)
    numbers = vectors.numpy().astype("<f4").tobytes()
    shape = json.dumps(list(vectors.shape))
    return hashlib.sha256(b"\0".join([text.encode(), shape.encode(), numbers])).hexdigest()


def _with_sorted_header(content: bytes) -> bytes:
    """The same safetensors file with its metadata in order, so that equal vectors are equal files.

    safetensors writes the keys of the metadata in an order that changes from run to run.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format's alignment
    return len(text).to_bytes(8, "little") + text + content[8 + length :]

"""What identifies a checkpoint: its commit, or a hash of configuration and safetensors headers."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError

LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors format


def require_weights(folder: Path) -> None:
    """Check that a folder looks like a model before anything is loaded from it.

    Raises:
        IclVectorsError: config.json or the safetensors files are missing.
    """
    if not (folder / "config.json").is_file():
        raise IclVectorsError(
            f"model folder {folder}: expected config.json, found none; "
            "give the folder that save_pretrained wrote."
        )
    if not list(folder.glob("*.safetensors")):
        raise IclVectorsError(
            f"model folder {folder}: expected *.safetensors, found none (pickled weights are "
            "never read); save the model with safe_serialization."
        )
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        _require_shards(folder, index)


def fingerprint_of_folder(folder: Path) -> str:
    """A hash of config.json and the headers (names, shapes, dtypes) of all safetensors files."""
    digest = hashlib.sha256()
    config = json.loads((folder / "config.json").read_text("utf-8"))
    digest.update(json.dumps(config, sort_keys=True).encode())
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(_header(file))
    return digest.hexdigest()[:16]


def commit_of(config: Any, reference: str) -> str:
    """The commit of a hub checkpoint, or of its name where the hub gave none."""
    return (
        getattr(config, "_commit_hash", None) or hashlib.sha256(reference.encode()).hexdigest()[:16]
    )


def _require_shards(folder: Path, index: Path) -> None:
    try:
        named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IclVectorsError(
            f"model folder {folder}: {index.name} is damaged; fetch it again."
        ) from error
    missing = sorted(name for name in named if not (folder / name).is_file())
    if missing:
        raise IclVectorsError(
            f"model folder {folder}: expected the shards of {index.name}, "
            f"found no {', '.join(missing)}; fetch them again."
        )


def _header(file: Path) -> bytes:
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LARGEST_HEADER + 1
        header = stream.read(length) if length <= LARGEST_HEADER else b""
    if not header or len(header) != length:
        raise IclVectorsError(
            f"{file}: expected a safetensors file, found a damaged header; fetch it again."
        )
    return header

"""What identifies a checkpoint: its commit, or a hash of configuration and safetensors headers."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from icl_vectors.errors import IclVectorsError

SAMPLES, SAMPLE_BYTES = 16, 4096  # of a file's weights, in the fingerprint
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
        digest.update(_samples(file))
    return digest.hexdigest()[:16]


def _samples(file: Path) -> bytes:
    """Some bytes from all over a file, so that other weights of the same shapes are told apart."""
    size, found = file.stat().st_size, []
    with file.open("rb") as stream:
        for number in range(SAMPLES):
            stream.seek(max(0, (size - SAMPLE_BYTES) * number // (SAMPLES - 1)))
            found.append(stream.read(SAMPLE_BYTES))
    return b"".join(found)


def commit_of(config: Any, reference: str, revision: str | None = None) -> str:
    """The commit of a hub checkpoint: as its configuration says, or as the hub's cache keeps it.

    Where neither knows, a hash of its name and revision.
    """
    if stated := getattr(config, "_commit_hash", None):  # gone in transformers 5.24
        return str(stated)
    kept = try_to_load_from_cache(reference, "config.json", revision=revision)
    if isinstance(kept, str):
        return Path(kept).parent.name  # …/snapshots/COMMIT/config.json
    name = reference if revision is None else f"{reference}@{revision}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


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

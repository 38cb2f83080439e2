"""Checkpoints changed in one way, and the hub's cache as a download leaves it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Change = Callable[[Path], object]


def configured(file: str = "config.json", **settings: Any) -> Change:
    """Other settings in a file of JSON."""

    def change(folder: Path) -> None:
        found = json.loads((folder / file).read_text("utf-8"))
        (folder / file).write_text(json.dumps({**found, **settings}), "utf-8")

    return change


def rewritten(
    change: Callable[[dict[str, torch.Tensor]], object], file: str = "model.safetensors"
) -> Change:
    """Other tensors in a file of weights."""

    def rewrite(folder: Path) -> None:
        weights = load_file(folder / file)
        change(weights)
        save_file(weights, folder / file, metadata={"format": "pt"})

    return rewrite


def written(file: str, text: str, encoding: str = "utf-8") -> Change:
    return lambda folder: (folder / file).write_text(text, encoding)


def fill_cache(cache: Path, name: str, **commits: tuple[str, Path]) -> None:
    """A hub model in a cache: for each name of a revision its commit and files."""
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    for ref, (commit, folder) in commits.items():
        (place / "refs" / ref).write_text(commit, "utf-8")
        shutil.copytree(folder, place / "snapshots" / commit)

"""Two runs' folders compared, but for what may differ: times, and the memory that was used."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

MAY_DIFFER = {"started", "finished", "seconds", "peak_memory_bytes", "batch_size"}
IN_REPORT = re.compile(
    rb"(?<= \xc2\xb7 )(started|finished|time \(s\)|peak memory \(GB\))</td>\n<td[^>]*>[^<]*"
)


def files_without_times(folder: Path, skip: Collection[str] = ()) -> dict[str, Any]:
    """The content of every file of a run, by its path in the folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    shown = {file: file.relative_to(folder).as_posix() for file in files}
    return {
        name: _content(file)
        for file, name in shown.items()
        if file.name not in skip and not file.name.startswith(".")
    }


def same_but_for_vectors(one: Path, other: Path, *skipped: str) -> bool:
    """Every file but those of vectors, which hold the rounding of their batches."""
    found = (files_without_times(folder, skip=skipped) for folder in (one, other))
    texts = [{k: v for k, v in files.items() if "safetensors" not in k} for files in found]
    return texts[0] == texts[1]


def _content(file: Path) -> Any:
    if file.name == "run.json":
        return without_times(json.loads(file.read_text("utf-8")))
    if file.name == "records.jsonl":
        return [without_times(json.loads(line)) for line in file.read_text("utf-8").splitlines()]
    if file.name == "report.html":
        return IN_REPORT.sub(b"", file.read_bytes())
    return file.read_bytes()


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(v) for key, v in value.items() if key not in MAY_DIFFER}
    return value

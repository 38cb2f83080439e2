"""Writing files so that a reader finds the old one or the new one, never a part."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from icl_vectors.errors import RunError


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def to_json(value: Any, indent: int | None = None) -> str:
    """Plain JSON; NaN and infinity are refused."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def write_json(path: Path, value: Any) -> None:
    write_whole(path, (to_json(value, indent=1) + "\n").encode())


def append_lines(path: Path, values: Iterable[Any]) -> None:
    """Append values as JSON lines, in one write."""
    lines = "".join(to_json(value) + "\n" for value in values).encode()
    with path.open("ab") as stream:
        stream.write(lines)
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(path: Path) -> list[Any]:
    """The JSON lines of a file; a torn last line (its writer was killed) is left out.

    Raises:
        RunError: another line is damaged.
    """
    if not path.is_file():
        return []
    values = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            values += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise RunError(
                f"{path}, line {number}: expected JSON, found a damaged line; "
                "remove that line, or choose another folder."
            ) from error
    return values

"""Writing files so that a reader finds the old one or the new one, never a part."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil

from icl_vectors.errors import RunError


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Replace a file in one step.

    Raises:
        OSError: with the file's name; the old file is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.writelines([content] if isinstance(content, bytes) else content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Remove what writers that were killed left beside the files of a folder."""
    for file in folder.glob(".*.*"):
        writer = file.name.rpartition(".")[2]
        if writer.isdecimal() and not psutil.pid_exists(int(writer)):
            file.unlink(missing_ok=True)


def to_json(value: Any, indent: int | None = None) -> str:
    """Plain JSON; NaN and infinity are refused."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def write_json(path: Path, value: Any) -> None:
    write_whole(path, (to_json(value, indent=1) + "\n").encode())


def append_lines(path: Path, values: Iterable[Any]) -> None:
    """Append values as JSON lines, in one write: all of them or, where that fails, none.

    Raises:
        OSError: with the file's name.
    """
    lines = "".join(to_json(value) + "\n" for value in values).encode()
    try:
        with path.open("ab", buffering=0) as stream:
            before = stream.tell()
            try:
                _write_all(stream.fileno(), lines)
            except OSError:
                stream.truncate(before)  # of a full disk's last block, a part was written
                raise
    except OSError as error:
        raise _named(error, path) from error


def read_lines(path: Path) -> list[Any]:
    """The JSON lines of a file; a torn last line (its writer was killed) is left out.

    Raises:
        RunError: another line is damaged.
    """
    return [value for _, value in each_line(path)]


def each_line(path: Path) -> Iterator[tuple[bytes, Any]]:
    """The lines of a file and what each holds, one at a time; blank and torn ones are left out.

    Raises:
        RunError: a line before the last is damaged.
    """
    if not path.is_file():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n") or not line.strip():
                continue
            try:
                yield line, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RunError(
                    f"{path}, line {number}: expected JSON, found a damaged line; "
                    "remove that line, or choose another folder."
                ) from error


def is_blank(path: Path) -> bool:
    """Whether a file is empty or holds zeros alone, as a power cut leaves it."""
    return not path.read_bytes().strip(b"\0 \t\r\n")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _named(error: OSError, path: Path) -> OSError:
    """The same error with the name of the file that it is about."""
    return OSError(error.errno, error.strerror or str(error), str(path))

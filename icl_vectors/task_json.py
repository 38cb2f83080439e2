"""The JSON of a task file, read value by value, so that every pair knows its line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from icl_vectors.errors import IclVectorsError

EXPECTED = (
    'JSON {"input": "output", …}, JSON [{"input": …, "output": …}, …], JSONL of such objects, '
    "or CSV/TSV with the columns input and output"
)
BETWEEN = re.compile(r"[ \t\r\n,:]*")  # the text was parsed before: what stands between is right
Row: TypeAlias = tuple[str, Any, Any]  # where it stands ("line 3"), input, output


def rows_of_json(path: Path, text: str) -> Iterator[Row]:
    """Where it stands, input and output of each pair of a JSON mapping or list.

    Raises:
        IclVectorsError: broken JSON, or of another form.
    """
    data = _parsed(path, text)
    lines = _Lines(text)
    if isinstance(data, dict) and isinstance(data.get("pairs"), list):
        start = next(at for _, key, at, _ in _members(text) if key == "pairs")
        yield from _rows_of_list(path, text, start, lines)
    elif isinstance(data, dict):
        for at, key, _, value in _members(text):
            yield f"line {lines.of(at)}", key, value
    elif isinstance(data, list):
        yield from _rows_of_list(path, text, 0, lines)
    else:
        raise bad(path, "line 1", f"JSON of type {type(data).__name__}")


def row_of_object(path: Path, at: str, row: Any) -> Row:
    """A pair from an object with the keys input and output.

    Raises:
        IclVectorsError: it is not such an object.
    """
    if not isinstance(row, dict) or not {"input", "output"} <= set(row):
        raise bad(path, at, "a row without the keys input and output")
    return at, row["input"], row["output"]


def bad(path: Path, at: str, found: str) -> IclVectorsError:
    """The error for a place in a task file."""
    return IclVectorsError(f"task file {path}, {at}: found {found}; expected {EXPECTED}.")


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise bad(path, f"line {error.lineno}", f"broken JSON ({error.msg})") from error
    except (RecursionError, ValueError) as error:
        found = "nested too deeply" if isinstance(error, RecursionError) else "with a huge number"
        raise bad(path, "line 1", f"JSON {found}") from error


def _rows_of_list(path: Path, text: str, start: int, lines: "_Lines") -> Iterator[Row]:
    for number, (at, row) in enumerate(_entries(text, start), start=1):
        yield row_of_object(path, f"line {lines.of(at)} (entry {number})", row)


def _entries(text: str, start: int) -> Iterator[tuple[int, Any]]:
    """The values of a JSON list, each with its place in the text."""
    place = text.index("[", start) + 1
    while text[place := _next(text, place)] != "]":
        at, (value, place) = place, _DECODER.raw_decode(text, place)
        yield at, value


def _members(text: str) -> Iterator[tuple[int, str, int, Any]]:
    """The members of a JSON object, repeated keys too: place and key, place and value."""
    place = text.index("{") + 1
    while text[place := _next(text, place)] != "}":
        at, (key, place) = place, _DECODER.raw_decode(text, place)
        value_at = _next(text, place)
        value, place = _DECODER.raw_decode(text, value_at)
        yield at, key, value_at, value


def _next(text: str, place: int) -> int:
    found = BETWEEN.match(text, place)
    return found.end() if found else place


class _Lines:
    """The lines of places that are asked for in ascending order."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._line = text, 0, 1

    def of(self, place: int) -> int:
        self._line += self._text.count("\n", self._place, place)
        self._place = place
        return self._line


_DECODER = json.JSONDecoder()

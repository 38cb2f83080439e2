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
    """Where it stands, input and output of each pair of a JSON mapping, list, or two columns.

    Raises:
        IclVectorsError: broken JSON, or of another form.
    """
    if _is_lines(text):
        yield from rows_of_lines(path, text)
        return
    data = _parsed(path, text)
    lines = _Lines(text)
    if isinstance(data, dict) and _has_rows(data):
        start = next(at for _, key, at, _ in _members(text) if key == "pairs")
        yield from _rows_of_list(path, text, start, lines)
    elif isinstance(data, dict) and _are_columns(data):
        yield from _rows_of_columns(path, text, lines)
    elif isinstance(data, dict):
        if form := _other_form(data):
            raise bad(path, "line 1", form)
        for at, key, _, value in _members(text):
            yield f"line {lines.of(at)}", key, value
    elif isinstance(data, list):
        yield from _rows_of_list(path, text, 0, lines)
    else:
        raise bad(path, "line 1", f"JSON of type {type(data).__name__}")


def rows_of_lines(path: Path, text: str) -> Iterator[Row]:
    """The same of JSON lines, an object a line.

    Raises:
        IclVectorsError: a line is not such an object.
    """
    for number, line in enumerate(text.split("\n"), start=1):  # not at U+2028 and the like
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad(path, f"line {number}", "broken JSON") from error
        yield row_of_object(path, f"line {number}", row)


def first_object(text: str, *, lines: bool) -> Any:
    """What may name more than a pair: the object that holds the pairs, or the first of them."""
    if lines or _is_lines(text):
        return json.loads(text.strip().partition("\n")[0])
    data = json.loads(text)
    if isinstance(data, list):
        return data[0]
    return data if _has_rows(data) else None


def _has_rows(data: dict[str, Any]) -> bool:
    """Whether an object's pairs are a list of rows; texts alone are the outputs of "pairs"."""
    pairs = data.get("pairs")
    return isinstance(pairs, list) and not (pairs and all(isinstance(one, str) for one in pairs))


def row_of_object(path: Path, at: str, row: Any) -> Row:
    """A pair from an object with the keys input and output.

    Raises:
        IclVectorsError: it is not such an object.
    """
    if not isinstance(row, dict) or not {"input", "output"} <= set(row):
        has = f"the keys {', '.join(row)}" if isinstance(row, dict) else type(row).__name__
        raise bad(path, at, f"a row without the keys input and output ({has[:60]})")
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


def _is_lines(text: str) -> bool:
    """Whether a text is JSON lines: its first one is a whole pair, with others or without more."""
    line, _, others = text.strip().partition("\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        return False
    pair = isinstance(first, dict) and {"input", "output"} <= set(first)
    if not pair or _are_columns(first) or _other_form(first):
        return False
    return bool(others) or set(first) == {"input", "output"}


def _are_columns(data: dict[str, Any]) -> bool:
    """Whether an object is a table by columns, as `DataFrame.to_dict("list")` gives."""
    return {"input", "output"} <= set(data) and all(isinstance(one, list) for one in data.values())


def _other_form(data: dict[str, Any]) -> str | None:
    """What an object looks like that is no mapping of inputs to outputs."""
    named = ", ".join(data)[:60]
    values = list(data.values())
    if values and all(isinstance(one, list) and any(map(_holds, one)) for one in values):
        return f"lists of rows named {named}, such as splits; save one of them as a file"
    if len(values) > 1 and all(isinstance(one, dict) for one in values):
        return f'objects named {named}, as a frame\'s to_json() writes; give orient="records"'
    if {"columns", "data"} <= set(data) or {"schema", "data"} <= set(data):
        return f'a frame in parts ({named}); write it with orient="records"'
    return None


def _holds(value: Any) -> bool:
    return isinstance(value, list | dict)


def _rows_of_columns(path: Path, text: str, lines: "_Lines") -> Iterator[Row]:
    starts = {key: at for _, key, at, _ in _members(text)}
    inputs, outputs = (list(_entries(text, starts[key])) for key in ("input", "output"))
    if len(inputs) != len(outputs):
        raise bad(path, "line 1", f"{len(inputs)} under input and {len(outputs)} under output")
    for number, ((at, input), (_, output)) in enumerate(zip(inputs, outputs, strict=True), start=1):
        yield f"line {lines.of(at)} (entry {number})", input, output


def _rows_of_list(path: Path, text: str, start: int, lines: "_Lines") -> Iterator[Row]:
    """Pairs of a list of objects, or of lists of two, of which ["input", "output"] is a header."""
    for number, (at, row) in enumerate(_entries(text, start), start=1):
        place = f"line {lines.of(at)} (entry {number})"
        if number == 1:
            in_pairs = isinstance(row, list) and len(row) == 2
            if row == ["input", "output"]:
                continue
        if in_pairs and isinstance(row, list) and len(row) == 2:
            yield place, *row
        else:
            yield row_of_object(path, place, row)


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

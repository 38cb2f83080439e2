"""Reading a user's own task: JSON mapping, JSON list, JSONL, CSV or TSV."""

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError

EXPECTED = (
    'JSON {"input": "output", …}, JSON [{"input": …, "output": …}, …], JSONL of such objects, '
    "or CSV/TSV with the columns input and output"
)
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_pairs(path: Path) -> list[tuple[str, list[str]]]:
    """The pairs of a task file, each output a list of accepted answers.

    Raises:
        IclVectorsError: the file is missing or damaged; path and line are named.
    """
    text = _read_text(path)
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        rows = _rows_of_table(path, text, DELIMITERS[suffix])
    elif suffix == ".jsonl":
        rows = _rows_of_lines(path, text)
    elif suffix == ".json":
        rows = _rows_of_json(path, text)
    else:
        raise _bad(path, 1, f"a file that ends in {suffix or 'nothing'}")
    pairs = [(_text(path, line, input), _outputs(path, line, out)) for line, input, out in rows]
    if not pairs:
        raise _bad(path, 1, "no pairs")
    _refuse_contradictions(path, pairs)
    return pairs


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise _bad(path, line, "bytes that are not UTF-8") from error
    except OSError as error:
        raise IclVectorsError(
            f"task file {path}: cannot be read ({error.strerror}); give the path of a file."
        ) from error


def _rows_of_json(path: Path, text: str) -> Iterator[tuple[int, Any, Any]]:
    try:
        data = json.loads(text, object_pairs_hook=partial(_without_repeats, path, text))
    except json.JSONDecodeError as error:
        raise _bad(path, error.lineno, f"broken JSON ({error.msg})") from error
    except RecursionError as error:
        raise _bad(path, 1, "JSON nested too deeply") from error
    if isinstance(data, dict) and isinstance(data.get("pairs"), list):
        data = data["pairs"]
    if isinstance(data, dict):
        for input, output in data.items():
            yield _line_of(text, input), input, output
    elif isinstance(data, list):
        for number, row in enumerate(data, start=1):
            yield from _row_of_object(path, number, row, what="entry")
    else:
        raise _bad(path, 1, f"JSON of type {type(data).__name__}")


def _without_repeats(path: Path, text: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, unless one of its keys stands there twice with different values."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if found.setdefault(key, value) != value:
            first = json.dumps(key, ensure_ascii=False)
            line = text.count("\n", 0, max(text.rfind(first), 0)) + 1
            raise _bad(path, line, f"a second, different value for {key!r}")
    return found


def _rows_of_lines(path: Path, text: str) -> Iterator[tuple[int, Any, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _bad(path, number, "broken JSON") from error
        yield from _row_of_object(path, number, row, what="line")


def _row_of_object(path: Path, number: int, row: Any, what: str) -> Iterator[tuple[int, Any, Any]]:
    if not isinstance(row, dict) or not {"input", "output"} <= set(row):
        raise _bad(path, number, "a row without the keys input and output", what)
    yield number, row["input"], row["output"]


def _rows_of_table(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, Any, Any]]:
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter)
    columns = [name.strip().lower() for name in reader.fieldnames or []]
    if not {"input", "output"} <= set(columns):
        raise _bad(path, 1, f"the columns {', '.join(columns) or 'none'}")
    reader.fieldnames = columns
    try:
        for row in reader:
            yield reader.line_num, row["input"], row["output"]
    except csv.Error as error:
        raise _bad(path, reader.line_num, f"a broken table ({error})") from error


def _text(path: Path, line: int, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise _bad(path, line, f"{value!r} where text that is not blank should be")
    if any(ord(character) < 32 for character in value.strip()):
        raise _bad(path, line, f"a newline or control character in {value.strip()[:40]!r}")
    if any(0xD800 <= ord(character) < 0xE000 for character in value):
        raise _bad(path, line, "half of a surrogate pair, which is not Unicode text")
    return value.strip()


def _outputs(path: Path, line: int, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise _bad(path, line, "an empty list of outputs")
    return [_text(path, line, item) for item in values]


def _refuse_contradictions(path: Path, pairs: list[tuple[str, list[str]]]) -> None:
    first: dict[str, tuple[int, list[str]]] = {}
    for number, (input, outputs) in enumerate(pairs, start=1):
        known_number, known = first.setdefault(input, (number, outputs))
        if known != outputs:
            raise IclVectorsError(
                f"task file {path}: pair {number} gives {input!r} the output {outputs[0]!r}, "
                f"pair {known_number} gave it {known[0]!r}; to accept both, write one pair "
                'whose output is a list: ["…", "…"].'
            )


def _line_of(text: str, input: str) -> int:
    position = text.find(json.dumps(input, ensure_ascii=False))
    return text.count("\n", 0, max(position, 0)) + 1


def _bad(path: Path, line: int, found: str, what: str = "line") -> IclVectorsError:
    return IclVectorsError(f"task file {path}, {what} {line}: found {found}; expected {EXPECTED}.")

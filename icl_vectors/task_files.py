"""Reading a user's own task: JSON mapping, JSON list, JSONL, CSV or TSV."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.plain_text import fault_of_line
from icl_vectors.task_json import Row, bad, row_of_object, rows_of_json

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SHOWN = 3  # repeated or contradicting lines that are named


@dataclass(frozen=True)
class Pairs:
    """What a task file holds.

    Attributes:
        pairs: input and accepted outputs, each input once.
        notes: what a reader should know: which lines repeat which.
    """

    pairs: list[tuple[str, list[str]]]
    notes: tuple[str, ...] = ()


def read_pairs(path: Path) -> Pairs:
    """The pairs of a task file, each output a list of accepted answers.

    Raises:
        IclVectorsError: the file is missing, damaged, or contradicts itself; path and line are
            named.
    """
    text = _read_text(path)
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        rows = _rows_of_table(path, text, DELIMITERS[suffix])
    elif suffix == ".jsonl":
        rows = _rows_of_lines(path, text)
    elif suffix == ".json":
        rows = rows_of_json(path, text)
    else:
        raise bad(path, "line 1", f"a file that ends in {suffix or 'nothing'}")
    return _merged(path, [(at, _text(path, at, i), _outputs(path, at, out)) for at, i, out in rows])


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise bad(path, f"line {line}", "bytes that are not UTF-8") from error
    except OSError as error:
        raise IclVectorsError(
            f"task file {path}: cannot be read ({error.strerror}); give the path of a file."
        ) from error


def _rows_of_lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):  # not at U+2028 and the like
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise bad(path, f"line {number}", "broken JSON") from error
        yield row_of_object(path, f"line {number}", row)


def _rows_of_table(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or []]
        if not {"input", "output"} <= set(columns):
            raise bad(path, "line 1", f"the columns {', '.join(columns) or 'none'}")
        if len(set(columns)) < len(columns):
            raise bad(path, "line 1", f"a column twice among {', '.join(columns)}")
        reader.fieldnames = columns
        for row in reader:
            at = f"line {reader.line_num}"
            if surplus := row.get(None):
                raise bad(path, at, f"more cells than columns ({surplus[0]!r}); quote the commas")
            yield at, row["input"], _cell(row["output"])
    except csv.Error as error:
        raise bad(path, f"line {reader.line_num}", f"a broken table ({error})") from error


def _cell(text: Any) -> Any:
    """An output of a table: its text, or the answers of a JSON list, such as ["red", "rose"]."""
    if isinstance(text, str) and text.lstrip().startswith('["'):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _text(path: Path, at: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise bad(path, at, f"{value!r} where text that is not blank should be")
    text = value.strip()
    if not text.isprintable() and (fault := fault_of_line(text)):
        raise bad(path, at, f"{fault}, in {text[:40]!r}")
    return text


def _outputs(path: Path, at: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise bad(path, at, "an empty list of outputs")
    return [_text(path, at, item) for item in values]


def _merged(path: Path, rows: list[tuple[str, str, list[str]]]) -> Pairs:
    """Each input once; what repeats is noted, what contradicts is refused.

    Raises:
        IclVectorsError: no pairs, or an input with different outputs.
    """
    first: dict[str, tuple[str, list[str]]] = {}
    repeats, contradictions = [], []
    for at, input, outputs in rows:
        known_at, known = first.setdefault(input, (at, outputs))
        if known != outputs:
            contradictions.append(
                f"{at} gives {input!r} the output {outputs[0]!r}, {known_at} gave it {known[0]!r}"
            )
        elif known_at != at:
            repeats.append(f"{at} repeats {known_at} ({input!r})")
    if contradictions:
        raise IclVectorsError(
            f"task file {path}: {_some(contradictions)}; to accept both, write one pair "
            'whose output is a list: ["…", "…"].'
        )
    if not first:
        raise bad(path, "line 1", "no pairs")
    notes = (f"task file {path}: {_some(repeats)}; each is used once.",) if repeats else ()
    return Pairs([(input, outputs) for input, (_, outputs) in first.items()], notes)


def _some(found: list[str]) -> str:
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _is_finite(value: int | float) -> bool:
    return isinstance(value, int) or isfinite(value)  # isfinite takes no integer of 400 digits

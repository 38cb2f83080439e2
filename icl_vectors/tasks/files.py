"""Reading a user's own task: JSON mapping, JSON list, JSONL, CSV or TSV."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any
from unicodedata import normalize

from icl_vectors.errors import IclVectorsError
from icl_vectors.plain_text import fault_of_line
from icl_vectors.tasks.cells import UnclearCell, answers_of_text
from icl_vectors.tasks.json_files import Row, bad, first_object, rows_of_json, rows_of_lines

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SHOWN = 3  # repeated or, where that is refused, contradicting lines that are named


@dataclass(frozen=True)
class Pairs:
    """What a task file holds.

    Attributes:
        pairs: input and accepted outputs, each input once.
        notes: what a reader should know: which lines repeat which, which inputs have several
            outputs.
        instruction: the rule in words; "" where the file has none.
    """

    pairs: list[tuple[str, list[str]]]
    notes: tuple[str, ...] = ()
    instruction: str = ""


def read_pairs(path: Path, strict: bool = False) -> Pairs:
    """The pairs of a task file, each output a list of accepted answers.

    Args:
        strict: refuse an input that has different outputs in different places; else all of them
            are accepted.

    Raises:
        IclVectorsError: the file is missing, damaged, or, if strict, contradicts itself; path and
            line are named.
    """
    text = _read_text(path)
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        rows = _rows_of_table(path, text, DELIMITERS[suffix])
    elif suffix == ".jsonl":
        rows = rows_of_lines(path, text)
    elif suffix == ".json":
        rows = rows_of_json(path, text)
    else:
        raise bad(path, "line 1", f"a file that ends in {suffix or 'nothing'}")
    read = [(at, _text(path, at, i), _outputs(path, at, out)) for at, i, out in rows]
    if not read:
        raise bad(path, "line 1", "no pairs")
    if strict:
        _refuse_contradictions(path, read)
    return replace(_merged(path, read), instruction=_instruction(path, text))


def _instruction(path: Path, text: str) -> str:
    """The value `instruction` of the first pair, or beside the pairs, of a file that was read."""
    if "instruction" not in text.lower():
        return ""  # not to read a large file twice
    if (suffix := path.suffix.lower()) in DELIMITERS:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=DELIMITERS[suffix])
        rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or []]
        first: Any = next((row for row in rows if row.get("instruction")), None)
    else:
        first = first_object(text, lines=suffix == ".jsonl")
    found = first.get("instruction") if isinstance(first, dict) else None
    return _text(path, "line 1", found) if found else ""


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
            yield at, row["input"], row["output"]
    except csv.Error as error:
        raise bad(path, f"line {reader.line_num}", f"a broken table ({error})") from error


def _text(path: Path, at: str, value: Any) -> str:
    # isfinite takes no integer of 400 digits
    is_number = type(value) is not bool and isinstance(value, int | float)
    if is_number and (isinstance(value, int) or isfinite(value)):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise bad(path, at, f"{value!r} where text that is not blank should be")
    text = value.strip()
    if not text.isprintable() and (fault := fault_of_line(text)):
        raise bad(path, at, f"{fault}, in {text[:40]!r}")
    return text


def _outputs(path: Path, at: str, value: Any) -> list[str]:
    try:
        read = answers_of_text(value)
    except UnclearCell as found:
        raise IclVectorsError(f"task file {path}, {at}: found {found}.") from found
    values = read if isinstance(read, list) else [read]
    if not values:
        raise bad(path, at, "an empty list of outputs")
    return [_text(path, at, item) for item in values]


def _refuse_contradictions(path: Path, rows: Sequence[tuple[str, str, list[str]]]) -> None:
    first: dict[str, tuple[str, list[str]]] = {}
    contradictions = []
    for at, input, outputs in rows:
        known_at, known = first.setdefault(input, (at, outputs))
        if known != outputs:
            contradictions.append(
                f"{at} gives {input!r} the output {outputs[0]!r}, {known_at} gave it {known[0]!r}"
            )
    if contradictions:
        raise IclVectorsError(
            f"task file {path}: {_some(contradictions)}; to accept both, leave out "
            '--strict-tasks (strict=True), or write one pair whose output is a list: ["…", "…"].'
        )


def _merged(path: Path, rows: Sequence[tuple[str, str, list[str]]]) -> Pairs:
    """Each input once with all its outputs; what repeats and who has several is noted."""
    found: dict[str, dict[str, str]] = {}  # of each input: output, where it stands
    repeats = []
    for at, input, outputs in rows:
        known = found.setdefault(input, {})
        if known.keys() >= set(outputs) and known[outputs[0]] != at:
            repeats.append(f"{at} repeats {known[outputs[0]]} ({input!r})")
        for output in outputs:
            known.setdefault(output, at)
    several = [(input, known) for input, known in found.items() if len(known) > 1]
    notes = [f"task file {path}: {_some(repeats)}; each is used once."] if repeats else []
    if alike := _unequal_forms(found):
        notes.append(
            f"task file {path}: {_some(alike)} read alike and differ in their Unicode form; they "
            "count as two inputs, write both composed (NFC) to make them one."
        )
    if several:
        notes.append(f"task file {path}: {_accepted(several)}")
    return Pairs([(input, list(known)) for input, known in found.items()], tuple(notes))


def _unequal_forms(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Inputs that are one text after Unicode normalization, by where they stand."""
    lines = {input: next(iter(known.values())) for input, known in found.items()}
    first: dict[str, str] = {}
    both = ((first.setdefault(normalize("NFC", input), input), input) for input in found)
    return [f"{lines[a]} and {lines[b]} ({b!r})" for a, b in both if a != b]


def _accepted(several: Sequence[tuple[str, dict[str, str]]]) -> str:
    """How many inputs have several outputs, and one of them, from several lines if there is one."""
    input, outputs = max(several, key=lambda one: len(set(one[1].values())) > 1)
    shown = "; ".join(f"{at}: {output!r}" for output, at in list(outputs.items())[:SHOWN])
    inputs = "input has" if len(several) == 1 else "inputs have"
    return (
        f"{len(several)} {inputs} several outputs; all are accepted, the first is demonstrated "
        f"(such as {input!r}: {shown})."
    )


def _some(found: list[str]) -> str:
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more

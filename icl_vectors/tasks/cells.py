"""A cell of a table or a frame as accepted answers. Imports nothing heavy."""

import ast
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from icl_vectors.errors import IclVectorsError

QUOTED = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
QUOTED_TEXTS = re.compile(rf"[\[({{]\s*{QUOTED}(?:\s*,\s*{QUOTED})*\s*,?\s*[\])}}]", re.DOTALL)
ARRAY_OF_NUMBERS = re.compile(r"\[[-+\d.e\s]+\]")  # as NumPy writes it: no commas
OF_NUMPY = re.compile(r"(array|Index|Series)\(|[\[({]\s*(np\.|nan\b|None\b)")  # as they are printed
CURE = (
    'write several accepted answers as ["red", "crimson"], a text in brackets as a list of one: '
    '["[1, 2]"]'
)


class UnclearCell(ValueError):
    """A cell that is neither a text nor accepted answers; the message says what it is."""


def answers_of_text(text: Any) -> Any:
    """The answers of a list in a cell's text, as JSON or Python writes it; else the cell as it is.

    Raises:
        UnclearCell: it looks like a list and is not one of quoted texts.
    """
    cell = text.strip() if isinstance(text, str) else ""
    if OF_NUMPY.match(cell) and cell.endswith(("]", ")", "}")):
        raise UnclearCell(f"{cell[:60]!r}, which is how NumPy or pandas shows a list; {CURE}")
    if not (cell.startswith(("[", "(", "{")) and cell.endswith(("]", ")", "}"))):
        return text
    value = _parsed(cell)
    container = isinstance(value, list | tuple | set | dict)
    if container and not isinstance(value, dict) and QUOTED_TEXTS.fullmatch(cell):
        return in_order(value)
    if container or cell[1:].lstrip().startswith(("'", '"')) or ARRAY_OF_NUMBERS.fullmatch(cell):
        raise UnclearCell(f"{cell[:60]!r}, which can be read as a list or as a text; {CURE}")
    return text


def answers_of_cell(cell: Any) -> list[Any]:
    """The answers of a frame's cell: a text or number, a list, a tuple, a set or an array.

    Raises:
        UnclearCell: it holds a mapping, lists in a list, or a text that looks like a list.
    """
    several = cell if is_several(cell) else answers_of_text(cell)
    answers = in_order(several) if is_several(several) else [several]
    if isinstance(cell, Mapping) or any(map(is_several, answers)):
        raise UnclearCell(f"{str(cell)[:60]!r}; {CURE}")
    return answers


def is_several(value: Any) -> bool:
    """Whether a value holds others: a list, a set, an array, a mapping, but no text."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def in_order(values: Iterable[Any]) -> list[Any]:
    """The values as a list; those of a set sorted, as its own order changes from run to run."""
    return sorted(values, key=str) if isinstance(values, set | frozenset) else list(values)


def text_of_row(name: str, row: Any, input: Any, output: Any) -> tuple[str, list[str]]:
    """Two cells of a frame as text."""
    from pandas import isna

    at = f"task {name!r}, row {row}"
    try:
        outputs = answers_of_cell(output)
    except UnclearCell as unclear:
        raise IclVectorsError(f"{at}: found {unclear}.") from unclear
    if is_several(input):
        raise IclVectorsError(f"{at}: expected text for the input, found {str(input)[:60]!r}.")
    if not outputs:
        raise IclVectorsError(f"{at}: expected an output, found an empty list.")
    for cell in (input, *outputs):
        if isna(cell) or not str(cell).strip():
            found = "a missing cell" if isna(cell) else "a blank one"
            raise IclVectorsError(f"{at}: expected text, found {found}.")
    return str(input), [str(cell) for cell in outputs]


def _parsed(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings(action="error"):  # of escapes that are none
                return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, Warning):
            continue
    return None

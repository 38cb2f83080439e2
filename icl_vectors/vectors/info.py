"""What a task vector is, for people: as a dictionary for JSON, as lines, as HTML for Jupyter."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.prompts.template import Turn

if TYPE_CHECKING:
    from icl_vectors.vectors.vector import TaskVector

LABELS = {"turn": "chat", "version": "package version"}  # others: the field's own name
ORIGIN = ("model", "model_type", "revision", "fingerprint", "dtype")
PROMPTS = ("template", "turn", "instruction", "seed", "dummies")
DESCRIBED = ("task", "method", "made_by", *ORIGIN, *PROMPTS, "version")
BAR = 24  # of the longest bar
WIDTH = 100  # characters of a table
MARKS = {"equals_regular": "=", "echo": "<", "copies_dummy": "d"}


def describe(theta: "TaskVector") -> dict[str, Any]:
    """Everything but the numbers, and their norms by layer."""
    about: dict[str, Any] = {field: getattr(theta, field) for field in DESCRIBED}
    about |= {"demonstrations": [list(pair) for pair in theta.demonstrations]}
    about |= {"from_folder": theta.from_folder, "turn": list(theta.turn)}
    about |= {"dummies": list(theta.dummies), "best_layer": theta.best_layer}
    about |= {"hidden": theta.vectors.shape[1], "layers": list(theta.layers)}
    return about | {"norms": [round(norm, 4) for norm in theta.norms()]}


def describe_lines(theta: "TaskVector") -> list[str]:
    """The same as lines of text, norms as bars; the best layer is marked."""
    rows = [f"{name:<16}{value}" for name, value in _rows(theta)]
    longest = max(theta.norms(), default=0.0) or 1.0
    rows.append("norm by layer")
    for layer, norm in zip(theta.layers, theta.norms(), strict=True):
        bar = "█" * round(BAR * norm / longest)
        mark = "  best" if layer == theta.best_layer else ""
        rows.append(f"{layer:>5} {norm:>12.2f}  {bar}{mark}".rstrip())
    return rows


def describe_html(theta: "TaskVector") -> str:
    """A table for a notebook."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in _rows(theta)
    )
    norms = ", ".join(
        f"{layer}: {norm:.1f}" for layer, norm in zip(theta.layers, theta.norms(), strict=True)
    )
    return f"<table>{rows}<tr><th>norm by layer</th><td>{norms}</td></tr></table>"


def _rows(theta: "TaskVector") -> list[tuple[str, str]]:
    best = "none named" if theta.best_layer is None else str(theta.best_layer)
    shape = f"{len(theta.layers)} layers × {theta.vectors.shape[1]}"
    names = {field: LABELS.get(field, field.replace("_", " ")) for field in DESCRIBED}
    rows = [(name, _shown(getattr(theta, field))) for field, name in names.items()]
    if theta.demonstrations:
        pairs = ", ".join(f"{input}→{output}" for input, output in theta.demonstrations)
        rows.append(("not read" if theta.instruction else "demonstrations", pairs))
    if theta.from_folder:
        rows = [(name, f"{text} (a folder)" if name == "model" else text) for name, text in rows]
    return [(name, text) for name, text in rows if text] + [("shape", shape), ("best layer", best)]


def _shown(value: Any) -> str:
    if isinstance(value, Turn):
        return repr(f"{value.head}…{value.tail}") if value.tail else ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def by_layer_lines(rows: Sequence[Mapping[str, Any]], queries: int) -> Iterator[str]:
    """Answers by layer, a line a block, a column a query; as many tables as the width asks for.

    Args:
        rows: of the frame that `apply_by_layer` returns.
        queries: their number.
    """
    columns, count = [], len(rows) // queries
    for start in range(0, len(rows), count):
        one = rows[start : start + count]
        cells = [in_one_line(one[0]["query"])]
        for name in ("baseline", "regular"):
            cells.append(_cell(one[0][name], one[0][f"{name}_probability"], ""))
        for row in one:
            marks = "".join(mark for key, mark in MARKS.items() if row[key])
            cells.append(_cell(row["answer"], row["probability"], marks))
        columns.append([cell.ljust(max(map(len, cells))) for cell in cells])
    heads = ["layer", "baseline", "regular", *(str(row["layer"]) for row in rows[:count])]
    while columns:
        shown, wide = [[f"{head:>8}" for head in heads]], 8
        while columns and (len(shown) == 1 or wide + 2 + len(columns[0][0]) <= WIDTH):
            wide += 2 + len(columns[0][0])
            shown.append(columns.pop(0))
        yield from ("  ".join(cells).rstrip() for cells in zip(*shown, strict=True))
        yield ""
    yield "= the regular answer; < the query again; d a dummy's own answer (first tokens)."
    if rows[0]["regular"] is None:
        yield "θ keeps no demonstrations, so that regular and dummies' answers are not known."


def _cell(answer: str | None, probability: float | None, marks: str) -> str:
    if answer is None:
        return "–"
    shown = in_one_line(answer) if answer.strip(" ") else repr(answer)
    return f"{shown} {probability:.2f} {marks}"

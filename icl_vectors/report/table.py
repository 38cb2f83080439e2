"""A table and its renderings as Markdown and LaTeX; the page renders it as HTML."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from icl_vectors.plain_text import markdown_text, without_orders
from icl_vectors.report.statistics import Interval
from icl_vectors.runs.schema import Estimate
from icl_vectors.scoring import Accuracy

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "→": r"$\rightarrow$",
    "θ": r"$\theta$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "✓": r"$\surd$",
    "✗": r"$\times$",
    "·": r"$\cdot$",
    "␣": r"\textvisiblespace{}",
}


@dataclass(frozen=True)
class Cell:
    """What a cell shows and, where that is no plain number, what it is sorted by.

    Attributes:
        mark: "good", "warn" or "bad" where the cell is a verdict or a flag,
            "none" beside such ones.
    """

    text: str
    order: float | str | None = None
    mark: str = ""


Value: TypeAlias = Cell | Interval | Estimate | Accuracy | str | float | None


@dataclass(frozen=True)
class Column:
    """A column's head; numbers stand at the right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns, with a name for its file and remarks under it.

    Attributes:
        filters: the page lets one choose rows by the first column, and by what is wrong.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    filters: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        columns: Iterable[Column],
        rows: Iterable[Iterable[Value]],
        note: str = "",
        filters: bool = False,
    ) -> "Table":
        """A table of values as they are."""
        cells = tuple(tuple(map(cell, row)) for row in rows)
        return cls(name, title, tuple(columns), cells, note, filters)


def words(*titles: str) -> tuple[Column, ...]:
    """Columns of text."""
    return tuple(map(Column, titles))


def numbers(*titles: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(title, True) for title in titles)


def cell(value: Value) -> Cell:
    """A text, a whole number, a share, or an accuracy with its interval; a dash for None."""
    if isinstance(value, Cell):
        return value
    if isinstance(value, str):
        return Cell(value)
    if isinstance(value, Estimate | Accuracy):
        value = Interval.of(value)
    if isinstance(value, Interval):
        return Cell(str(value), value.value)
    return number(value, 0 if isinstance(value, int) else 2)


def number(value: float | None, digits: int = 2) -> Cell:
    """A number, or a dash for none (sorted below every number)."""
    if value is None:
        return Cell("–", float("-inf"))
    return Cell(f"{value:.{digits}f}", value)


def interval(entry: Mapping[str, float]) -> str:
    """An accuracy of results.json with its interval, for a table in the terminal."""
    return str(Interval(entry["accuracy"], entry["low"], entry["high"]))


def visible(token: str) -> str:
    """Model output so that blanks at its ends and control characters are seen."""
    inner = token.strip(" ")
    left = len(token) - len(token.lstrip(" "))
    right = len(token) - len(token.rstrip(" ")) if inner else 0
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in inner)
    return "␣" * left + shown + "␣" * right


def to_markdown(table: Table) -> str:
    """A GitHub-flavoured Markdown table under its title."""
    heads = [markdown_text(column.title) for column in table.columns]
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    rows = [[markdown_text(cell.text) for cell in row] for row in table.rows]
    lines = [f"**{markdown_text(table.title)}**", ""]
    lines += ["| " + " | ".join(row) + " |" for row in (heads, rules, *rows)]
    if table.note:
        lines += ["", markdown_text(table.note)]
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """A LaTeX table environment that needs no packages."""
    caption = table.title + (f". {table.note}" if table.note else "")
    texts = [[column.title for column in table.columns]]
    texts += [[one.text for one in row] for row in table.rows]
    # an empty group keeps "[" at a row's start from being read as an option of the row before
    head, *rows = ("{}" + " & ".join(map(_latex, row)) + r" \\" for row in texts)
    lines = [
        r"\begin{table}",
        rf"\caption{{{_latex(caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{''.join('lr'[column.numeric] for column in table.columns)}}}",
        *(r"\hline", head, r"\hline", *rows, r"\hline"),
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(c, c) for c in without_orders(" ".join(text.split())))

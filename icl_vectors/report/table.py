"""A table and its renderings as Markdown and LaTeX; the page renders it as HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from icl_vectors.plain_text import markdown_text, without_orders

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


def number(value: float | None, digits: int = 2) -> Cell:
    """A number, or a dash for none (sorted below every number)."""
    if value is None:
        return Cell("–", float("-inf"))
    return Cell(f"{value:.{digits}f}", value)


def span(value: float, low: float | None, high: float | None, sd: float | None = None) -> Cell:
    """A value with its interval and, over seeds, its standard deviation."""
    text = f"{value:.2f}" if sd is None else f"{value:.2f} ± {sd:.2f}"
    if low is not None and high is not None:
        text += f" [{low:.2f}, {high:.2f}]"
    return Cell(text, value)


def interval(cell: Mapping[str, float]) -> str:
    """An accuracy of results.json with its interval, for a table in the terminal."""
    return f"{cell['accuracy']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


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
    layout = "".join("r" if column.numeric else "l" for column in table.columns)
    caption = table.title + (f". {table.note}" if table.note else "")
    lines = [
        r"\begin{table}",
        rf"\caption{{{_latex(caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\hline",
        _latex_row([column.title for column in table.columns]),
        r"\hline",
        *(_latex_row([cell.text for cell in row]) for row in table.rows),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(c, c) for c in without_orders(" ".join(text.split())))


def _latex_row(texts: Sequence[str]) -> str:
    # an empty group keeps "[" at a row's start from being read as an option of the row before
    return "{}" + " & ".join(_latex(text) for text in texts) + r" \\"

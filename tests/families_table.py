"""The tables of docs/architectures.md, from what the families' tiny models give.

usage: python -m tests.families_table [FAMILY …]

Families that are named are tried and shown, and nothing is written.
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from tests.families import all_families
from tests.family_process import Outcome, try_family, yes

DOCUMENT = Path(__file__).parents[1] / "docs" / "architectures.md"
BEGIN, END = "<!-- families -->\n", "<!-- end of families -->\n"
HEAD = ("family", "path", "why not cached", "sweep = naive", "projection")
OTHERS = ("family", "result", "reason")
AT_ONCE = 2


def write(outcomes: list[Outcome]) -> None:
    """The document with its tables made anew."""
    before, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    outcomes = sorted(outcomes, key=lambda one: one.family)
    ran = [one for one in outcomes if one.result == "runs"]
    others = [one for one in outcomes if one.result != "runs"]
    lines = [
        *_table(HEAD, [(o.family, o.path, o.reason, yes(o.exact), o.projects) for o in ran]),
        "",
        f"{made_with()} {counts(outcomes)}",
        "",
        *_table(OTHERS, [(one.family, one.result, one.reason) for one in others]),
    ]
    document = before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.split(END)[1]
    DOCUMENT.write_text(document, "utf-8")


def counts(outcomes: list[Outcome]) -> str:
    """How many families run, on which path, and what became of the others."""
    paths = Counter(one.path for one in outcomes if one.result == "runs")
    others = Counter(one.result for one in outcomes if one.result != "runs")
    ran = f"{paths.total()} run: {paths['cached']} cached, {paths['whole']} on whole prompts. "
    return ran + ", ".join(f"{n} {result}" for result, n in sorted(others.items())) + "."


def made_with() -> str:
    """The version whose families these are."""
    return f"Made with transformers {'.'.join(version('transformers').split('.')[:2])}."


def listed() -> set[str]:
    """The families that the document says run."""
    first = DOCUMENT.read_text("utf-8").split(BEGIN)[1].split(_row(OTHERS))[0]
    return {line.split("`")[1] for line in first.splitlines() if line.startswith("| `")}


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    cells = [(f"`{family}`", *(cell.replace("|", "\\|") for cell in row)) for family, *row in rows]
    return [_row(head), "|---" * len(head) + "|", *map(_row, cells)]


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(family: str) -> Outcome:
    outcome = try_family(family)
    print(outcome, flush=True)
    return outcome


if __name__ == "__main__":
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(_shown, sys.argv[1:] or all_families()))
    if not sys.argv[1:]:
        write(found)
    print(counts(found))

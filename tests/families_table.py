"""The table of docs/architectures.md, from what the families' tiny models give.

usage: python -m tests.families_table
"""

from importlib.metadata import version
from pathlib import Path

import torch
from transformers.utils import logging

from icl_vectors.errors import IclVectorsError
from tests.families import NotMade, all_families
from tests.family_check import Checked, check_family, is_exact

DOCUMENT = Path(__file__).parents[1] / "docs" / "architectures.md"
BEGIN, END = "<!-- families -->\n", "<!-- end of families -->\n"
HEAD = "| family | path | why not cached | sweep = naive | projection |"


def write() -> str:
    """The document with its table made anew; what was counted."""
    before, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    rows, refused, unmade = [], [], []
    for family in all_families():
        try:
            rows.append(_row(family, check_family(family)))
        except NotMade as reason:
            unmade.append(f"`{family}` ({reason})")
        except IclVectorsError as refusal:
            refused.append(f"`{family}`: {refusal}")
        except Exception as error:  # shown, and no test passes then
            rows.append(f"| `{family}` | **{type(error).__name__}** | | **no** | |")
        print(family, flush=True)
    counts = f"{len(rows)} run, {len(refused)} are refused, {len(unmade)} could not be made small."
    lines = [HEAD, "|---" * (HEAD.count("|") - 1) + "|", *rows, "", made_with(), counts]
    lines += ["", "Refused in one line:", "", *(f"- {one}" for one in refused), ""]
    lines += ["Not made by the rule, with what their configuration said:", ""]
    lines += [f"- {one}" for one in unmade]
    DOCUMENT.write_text(
        before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + rest.split(END)[1]
    )
    return counts


def made_with() -> str:
    """The version whose families these are."""
    return f"Made with transformers {'.'.join(version('transformers').split('.')[:2])}."


def listed() -> set[str]:
    """The families that the document says run."""
    rows = [
        line.split("`")[1] for line in DOCUMENT.read_text("utf-8").splitlines() if "| `" in line
    ]
    return set(rows)


def _row(family: str, checked: Checked) -> str:
    model = checked.model
    cells = [
        f"`{family}`",
        model.way.name,
        model.way_reason,
        "yes" if is_exact(checked) else "**no**",
        "yes" if checked.projected[1].tolist() == checked.projected_by_hand[1].tolist() else "no",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    print(write())

"""What goes to the terminal: text that others wrote is shown, never obeyed.

Every command prints through here; a test forbids `print` elsewhere.
"""

import codecs
import json
import os
import sys
from typing import Any, TextIO

from typer.core import TyperCommand, TyperGroup

from icl_vectors.plain_text import in_one_line, is_order, without_orders
from icl_vectors.runs.files import to_json

KEYS = ("NDIF_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
SHORTEST_KEY = 8
IN_ASCII = {
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
    "θ": "theta",
    "→": "->",
    "↵": "|",
    "…": "...",
    "–": "-",
    "−": "-",
    "×": "x",
    "±": "+-",
    "·": ".",
    "⟦": "[[",
    "⟧": "]]",
    "’": "'",
    "“": '"',
    "”": '"',
    "ℓ": "l",
}
HEADINGS: dict[str, tuple[str, ...]] = {  # an experiment that is not named here is the last
    "Experiments": ("sweep", "cluster", "conflict", "vocabulary", "compare", "reproduce"),
    "Vectors": ("extract", "apply", "explore", "share"),
    "Models and tasks": ("models", "tasks", "check"),
    "Tools": ("plan", "report", "schema"),
}
ERRORS = "icl_vectors.in_ascii"


def show(text: object, file: TextIO | None = None) -> None:
    """Print text; control characters and marks of direction in it are shown as escapes.

    A key that a library or a server repeats in an error is left out.
    """
    print(without_orders(_without_keys(str(text))), file=file or sys.stdout, flush=True)


def show_json(value: Any) -> None:
    """Print one JSON document; what a terminal would obey or lacks is escaped as JSON does it."""
    text = to_json(value)
    plain = all(not is_order(c) and _has(sys.stdout, c) for c in set(text))
    shown = (c if not is_order(c) and _has(sys.stdout, c) else json.dumps(c)[1:-1] for c in text)
    print(text if plain else "".join(shown), flush=True)


def show_documents(documents: list[Any]) -> None:
    """Print one JSON document: the only one, or the list."""
    show_json(documents[0] if len(documents) == 1 else documents)


def adapt_streams() -> None:
    """From now on characters that stdout or stderr lacks are written in ASCII: no write fails."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=ERRORS)


def fitted(text: str, stream: TextIO) -> str:
    """Text with what a stream lacks in ASCII: click would write it as UTF-8 all the same."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, ERRORS).decode(encoding)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    shown = (IN_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lost)
    return "".join(shown), error.end


def _has(stream: TextIO, character: str) -> bool:
    try:
        character.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(text: str) -> str:
    """Text that others wrote as part of one line: newlines are shown too."""
    return in_one_line(text)


def _without_keys(text: str) -> str:
    for name in KEYS:
        if len(key := os.environ.get(name, "")) >= SHORTEST_KEY:
            text = text.replace(key, "…")
    return text


codecs.register_error(ERRORS, _in_ascii)


class HelpCommand(TyperCommand):
    def get_help(self, ctx: Any) -> str:
        return fitted(super().get_help(ctx), sys.stdout)


class HelpGroup(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under headings, each with its first line."""
        headed = dict(HEADINGS)
        others = [name for name in self.commands if name not in sum(headed.values(), ())]
        headed["Experiments"] = (*headed["Experiments"], *others)
        for heading, names in headed.items():
            there = [name for name in names if name in self.commands]
            rows = [(name, self.commands[name].get_short_help_str(70)) for name in there]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def get_help(self, ctx: Any) -> str:
        return fitted(super().get_help(ctx), sys.stdout)

"""What goes to the terminal: text that others wrote is shown, never obeyed.

Every command prints through here; a test forbids `print` elsewhere.
"""

import os
import sys
from typing import Any, TextIO

from icl_vectors.files import to_json
from icl_vectors.plain_text import in_one_line, is_order, without_orders

KEYS = ("NDIF_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
SHORTEST_KEY = 8


def show(text: object, file: TextIO | None = None) -> None:
    """Print text; control characters and marks of direction in it are shown as escapes.

    A key that a library or a server repeats in an error is left out.
    """
    print(without_orders(_without_keys(str(text))), file=file or sys.stdout, flush=True)


def show_json(value: Any) -> None:
    """Print one JSON document; what a terminal would obey is escaped as JSON does it."""
    text = to_json(value)
    print("".join(f"\\u{ord(c):04x}" if is_order(c) else c for c in text))


def printable(text: str) -> str:
    """Text that others wrote as part of one line: newlines are shown too."""
    return in_one_line(text)


def _without_keys(text: str) -> str:
    for name in KEYS:
        if len(key := os.environ.get(name, "")) >= SHORTEST_KEY:
            text = text.replace(key, "…")
    return text

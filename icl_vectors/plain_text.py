"""Text that others wrote (model output, task data, file names) made harmless.

A terminal, a browser or an editor takes some characters as orders: control characters, escape
sequences, marks that turn the direction of writing. They are shown as what they are.
"""

from collections.abc import Sequence

MARKDOWN_SPECIAL = r"\`*_{}[]<>|#~$"
SPARKS = "▁▂▃▄▅▆▇█"
# Marks of direction and the separators that some programs take for the end of a line.
ORDERS = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def without_orders(text: str) -> str:
    """The text with control characters and marks of direction shown; newlines and tabs stay."""
    return "".join(shown(c) if is_order(c) and c not in "\n\t" else c for c in text)


def in_one_line(text: str) -> str:
    """The same in one line: newlines and tabs are shown too."""
    return "".join(shown(c) if is_order(c) else c for c in text)


def is_order(character: str) -> bool:
    """Whether a character is a control character, half of a surrogate pair, or turns direction."""
    code = ord(character)
    return code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 or character in ORDERS


def shown(character: str) -> str:
    """A character as an escape: \\n, \\x1b, \\u202e."""
    return character.encode("unicode_escape").decode()


def fault_of_line(text: str) -> str | None:
    """What keeps a text from being part of one line of a prompt, in words; None where nothing."""
    if any(ord(character) < 32 for character in text):
        return "a newline or control character"
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        return "half of a surrogate pair, which is not Unicode text"
    return None


def spark_line(values: Sequence[float | None]) -> str:
    """Accuracies between 0 and 1 as bars; a layer that was not swept is a dot."""
    return "".join("·" if v is None else SPARKS[min(7, int(v * 8))] for v in values)


def markdown_text(text: str) -> str:
    """Text that others wrote as part of a line of Markdown: none of it is markup or HTML."""
    plain = without_orders(" ".join(text.split()))
    return "".join(f"\\{c}" if c in MARKDOWN_SPECIAL else c for c in plain)

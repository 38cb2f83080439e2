"""How pairs become text: one line or several a demonstration, the query ending in the arrow.

The paper's figures write "Apple→Red"; the authors' code "example:Apple->Red" (preset "paper").
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from icl_vectors.errors import IclVectorsError
from icl_vectors.plain_text import fault_of_line

DEFAULT_TEMPLATE = "{input}→{output}"
PRESETS = {"default": DEFAULT_TEMPLATE, "paper": "example:{input}->{output}"}
NEWLINE = "\n"
ESCAPES = {r"\n": NEWLINE, r"\t": "\t", r"\\": "\\"}  # as they are typed in a shell


class Turn(NamedTuple):
    """The user's turn of a chat, as a tokenizer's chat template writes it; empty without one.

    Attributes:
        head: what stands before the user's text.
        tail: what stands after it, up to where the assistant's answer begins.
        gap: blanks before that answer; they belong to its first token.
    """

    head: str = ""
    tail: str = ""
    gap: str = ""


@dataclass(frozen=True)
class Template:
    """A text `before {input} arrow {output} after`; demonstrations are joined by newline.

    Attributes:
        text: with `{input}` and `{output}` once each; it may have newlines and tabs, so that
            "Q: {input}\\nA: {output}" gives two lines a demonstration.
        turn: of a chat, that the whole prompt is in; its end then takes the arrow's place.
    """

    text: str = DEFAULT_TEMPLATE
    turn: Turn = Turn()

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> "Template":
        """The template of a run, from its run.json."""
        return cls(run["template"], Turn(*run.get("turn") or ()))

    def __post_init__(self) -> None:
        if fault_of_line(self.text.replace(NEWLINE, "").replace("\t", "")):
            raise IclVectorsError(
                f"template {self.text!r}: expected text whose only control characters are "
                r"newline and tab (\n and \t), found another, or half of a character; remove it."
            )
        for field in ("{input}", "{output}"):
            if (found := self.text.count(field)) != 1:
                raise IclVectorsError(
                    f"template {self.text!r}: expected {field} exactly once, found it {found} "
                    f'times; write for example "{DEFAULT_TEMPLATE}", or "paper".'
                )
        if self.text.index("{output}") < self.text.index("{input}"):
            raise IclVectorsError(
                f"template {self.text!r}: expected {{input}} before {{output}}; "
                f'write for example "{DEFAULT_TEMPLATE}".'
            )
        if not self.arrow.strip():
            raise IclVectorsError(
                f"template {self.text!r}: expected an arrow (any text that is not blank) between "
                f'{{input}} and {{output}}, found none; write for example "{DEFAULT_TEMPLATE}".'
            )

    @property
    def before(self) -> str:
        return self.text.split("{input}")[0]

    @property
    def arrow(self) -> str:
        """The text between input and output, blanks at its end included."""
        return self.text.split("{input}")[1].split("{output}")[0]

    @property
    def after(self) -> str:
        """What ends an answer: the rest of the line and the newline."""
        return self.text.split("{output}")[1] + NEWLINE

    @property
    def gap(self) -> str:
        """Blanks between arrow and answer; they belong to the answer's first token."""
        if self.turn.tail:
            return self.turn.gap
        return self.arrow[len(self.arrow.rstrip()) :]

    def line(self, input: str, output: str) -> str:
        """One demonstration, with what ends it."""
        return f"{self.before}{input}{self.arrow}{output}{self.after}"

    def to_arrow(self, input: str) -> str:
        """A demonstration's line up to its arrow."""
        return f"{self.before}{input}{self.arrow.rstrip()}"

    def query(self, input: str, instruction: str = "") -> str:
        """A prompt without demonstrations: it ends at the arrow."""
        lines = instruction + NEWLINE if instruction else ""
        return self.turn.head + lines + self.to_arrow(input) + self.turn.tail

    def prompt(self, demonstrations: Sequence[tuple[str, str]], query: str) -> str:
        """Demonstrations and query: in-context learning as in section 2 of the paper."""
        lines = "".join(self.line(input, output) for input, output in demonstrations)
        return self.turn.head + lines + self.to_arrow(query) + self.turn.tail


def load_template(text: str) -> Template:
    r"""A template from its text or the name of a preset (`default`, `paper`).

    `\n` and `\t` in the text mean newline and tab, `\\` a backslash.

    Raises:
        IclVectorsError: `{input}` or `{output}` is missing, or nothing stands between them.
    """
    if not isinstance(text, str):
        raise IclVectorsError(f"template {text!r}: expected text, such as {DEFAULT_TEMPLATE!r}.")
    preset = PRESETS.get(text, text)
    return Template(re.sub(r"\\[nt\\]", lambda found: ESCAPES[found[0]], preset))

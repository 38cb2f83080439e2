"""Written answers: where they end, and when they are right. Knows no model and no torch."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from icl_vectors.prompts.template import NEWLINE, Template

BLANKS = re.compile(r"\s+")
QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"'})
SPARE_TOKENS = 1  # beyond the longest accepted answer: what ends it
LEAST_TOKENS = 8


def ending_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Ids that end a text for this model: its own and its tokenizer's end-of-sequence."""
    settings = getattr(model, "generation_config", None)
    ids: set[int] = set()
    for value in (getattr(settings, "eos_token_id", None), tokenizer.eos_token_id):
        listed = value if isinstance(value, list | tuple) else [value]
        ids |= {int(token) for token in listed if token is not None}
    return tuple(sorted(ids))


def tokens_that_end_a_line(tokenizer: Any, template: Template) -> tuple[int, ...]:
    """Ids of the tokens that hold all of what ends an answer; () where it takes several."""
    ids = tokenizer(template.after, add_special_tokens=False)["input_ids"]
    return tuple(ids) if len(ids) == 1 else ()


def cut_answer(
    tokenizer: Any, template: Template, tokens: Sequence[int], ends: Collection[int]
) -> str:
    """The text of an answer, without blanks around it, up to what ends it.

    Args:
        ends: ids that end a text; an answer also ends where the template ends a line.
    """
    kept: list[int] = []
    for token in tokens:
        if token in ends or token < 0:
            break
        kept.append(token)
    text: str = tokenizer.decode(kept, skip_special_tokens=True)
    text = text.lstrip() if template.gap else text
    for end in filter(None, (template.after, template.after.rstrip(), NEWLINE)):
        text = text.split(end)[0]
    return text.strip()


def answer_bound(tokenizer: Any, answers: Iterable[str]) -> int:
    """Tokens enough to write any of the answers and to see it end."""
    texts = list(answers)
    lengths = map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])
    return max(LEAST_TOKENS, max(lengths) + SPARE_TOKENS)


def normalise(text: str) -> str:
    """The form in which answers are compared.

    Composed Unicode, plain apostrophes and quotes, single blanks, none around. Capitals count:
    `to_upper` is a task.

    >>> normalise("  Nuku’alofa,   Tonga ")
    "Nuku'alofa, Tonga"
    """
    return BLANKS.sub(" ", unicodedata.normalize("NFC", text).translate(QUOTES)).strip()


def is_exact(written: str, accepted: Iterable[str]) -> bool:
    """Whether an answer is one of the accepted ones.

    >>> is_exact("Paris", ["Paris"]), is_exact("Paris, France", ["Paris"])
    (True, False)
    """
    return normalise(written) in {normalise(answer) for answer in accepted}


def begins_right(written: str, accepted: Iterable[str]) -> bool:
    """Whether an answer begins with an accepted one that ends at a word's end.

    >>> begins_right("Paris, France", ["Paris"]), begins_right("Parish", ["Paris"])
    (True, False)
    """
    found = normalise(written)
    return any(
        found.startswith(answer) and not _goes_on(found[len(answer) :])
        for answer in map(normalise, accepted)
    )


def _goes_on(rest: str) -> bool:
    """Whether a word goes on: a letter, a digit or a combining mark follows."""
    return bool(rest) and (rest[0].isalnum() or unicodedata.category(rest[0]).startswith("M"))

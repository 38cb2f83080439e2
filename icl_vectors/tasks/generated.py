"""The algorithmic tasks: letters, case and lists are generated, not stored."""

import random
from collections.abc import Callable, Iterable
from string import ascii_lowercase as LETTERS
from typing import Any

LISTS_OF_EACH_LENGTH = 200


def _task(
    name: str, description: str, instruction: str, pairs: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    return {
        "name": name,
        "category": "algorithmic",
        "version": 1,
        "description": description,
        "instruction": instruction,
        "source": "generated",
        "licence": "MIT",
        "pairs": [{"input": input, "output": [output]} for input, output in pairs],
    }


def _letter_lists() -> list[str]:
    draw = random.Random("letter lists")
    lists: dict[str, None] = {}
    for length in (2, 3, 4):
        target = len(lists) + LISTS_OF_EACH_LENGTH
        while len(lists) < target:
            lists[",".join(draw.sample(LETTERS, length))] = None
    return sorted(lists)


def _next_letter() -> dict[str, Any]:
    following = zip(LETTERS, LETTERS[1:], strict=False)
    asked = "Write the next letter of the alphabet."
    return _task("next_letter", "A letter to the next one of the alphabet.", asked, following)


def _prev_letter() -> dict[str, Any]:
    preceding = zip(LETTERS[1:], LETTERS, strict=False)
    asked = "Write the letter before it in the alphabet."
    return _task("prev_letter", "A letter to the one before it in the alphabet.", asked, preceding)


def _to_upper() -> dict[str, Any]:
    pairs = ((letter, letter.upper()) for letter in LETTERS)
    asked = "Write the letter in upper case."
    return _task("to_upper", "A lower-case letter to its capital.", asked, pairs)


def _to_lower() -> dict[str, Any]:
    pairs = ((letter.upper(), letter) for letter in LETTERS)
    asked = "Write the letter in lower case."
    return _task("to_lower", "A capital letter to its lower case.", asked, pairs)


def _list_first() -> dict[str, Any]:
    pairs = ((text, text.split(",")[0]) for text in _letter_lists())
    asked = "Write the first letter of the list."
    return _task("list_first", "A list of 2 to 4 letters to its first one.", asked, pairs)


def _list_last() -> dict[str, Any]:
    pairs = ((text, text.split(",")[-1]) for text in _letter_lists())
    asked = "Write the last letter of the list."
    return _task("list_last", "A list of 2 to 4 letters to its last one.", asked, pairs)


GENERATED: dict[str, Callable[[], dict[str, Any]]] = {
    "next_letter": _next_letter,
    "prev_letter": _prev_letter,
    "to_upper": _to_upper,
    "to_lower": _to_lower,
    "list_first": _list_first,
    "list_last": _list_last,
}

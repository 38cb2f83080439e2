"""The algorithmic tasks: letters, case and lists are generated, not stored."""

import random
from collections.abc import Callable
from functools import partial
from string import ascii_lowercase as LETTERS
from typing import Any

LISTS_OF_EACH_LENGTH = 200
# Task: what it maps, its instruction, its pairs.
TASKS: dict[str, tuple[str, str, Callable[[], list[tuple[str, str]]]]] = {
    "next_letter": (
        "A letter to the next one of the alphabet.",
        "Write the next letter of the alphabet.",
        lambda: list(zip(LETTERS, LETTERS[1:], strict=False)),
    ),
    "prev_letter": (
        "A letter to the one before it in the alphabet.",
        "Write the letter before it in the alphabet.",
        lambda: list(zip(LETTERS[1:], LETTERS, strict=False)),
    ),
    "to_upper": (
        "A lower-case letter to its capital.",
        "Write the letter in upper case.",
        lambda: [(letter, letter.upper()) for letter in LETTERS],
    ),
    "to_lower": (
        "A capital letter to its lower case.",
        "Write the letter in lower case.",
        lambda: [(letter.upper(), letter) for letter in LETTERS],
    ),
    "list_first": (
        "A list of 2 to 4 letters to its first one.",
        "Write the first letter of the list.",
        lambda: [(text, text[0]) for text in _letter_lists()],
    ),
    "list_last": (
        "A list of 2 to 4 letters to its last one.",
        "Write the last letter of the list.",
        lambda: [(text, text[-1]) for text in _letter_lists()],
    ),
}


def _task(name: str) -> dict[str, Any]:
    description, instruction, pairs = TASKS[name]
    return {
        "name": name,
        "category": "algorithmic",
        "version": 1,
        "description": description,
        "instruction": instruction,
        "source": "generated",
        "licence": "MIT",
        "pairs": [{"input": input, "output": [output]} for input, output in pairs()],
    }


def _letter_lists() -> list[str]:
    draw = random.Random("letter lists")
    lists: dict[str, None] = {}
    for length in (2, 3, 4):
        target = len(lists) + LISTS_OF_EACH_LENGTH
        while len(lists) < target:
            lists[",".join(draw.sample(LETTERS, length))] = None
    return sorted(lists)


GENERATED = {name: partial(_task, name) for name in TASKS}

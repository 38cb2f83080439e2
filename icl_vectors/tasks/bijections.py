"""Bijection tasks (Dong et al. 2025, arXiv 2506.09048): x→y and y→x mixed in one task.

Each is made from a list of pairs x, y in one direction. The rule depends on which side the query
is from, so that one vector must carry two rules; in-context learning can read both off the prompt.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

SOURCES = {  # task: (the task of its pairs, the task of the reverse direction, what it maps)
    "letter_case_both": ("to_upper", None, "A letter to the same one in the other case"),
    "singular_plural_both": ("plural_singular", None, "A noun to its other number"),
    "antonyms_both": ("antonyms", "antonyms", "A word to one of opposite meaning"),
    "en_fr_both": ("en_fr", "fr_en", "A word to its translation, English and French"),
    "en_es_both": ("en_es", "es_en", "A word to its translation, English and Spanish"),
    "en_it_both": ("en_it", None, "A word to its translation, English and Italian"),
    "gerund_both": ("present_simple_gerund", None, "A verb's base form to its -ing form, and back"),
    "past_simple_both": (
        "present_simple_past_simple",
        None,
        "A verb's base form to its past simple, and back",
    ),
    "past_participle_both": (
        "present_simple_past_participle",
        None,
        "A verb's base form to its past participle, and back",
    ),
}
INSTRUCTIONS = {
    "letter_case_both": "Write the letter in the other case.",
    "singular_plural_both": "Write the other number of the noun: its plural, or its singular.",
    "antonyms_both": "Write the opposite of the word.",
    "en_fr_both": "Translate the word into the other language, English or French.",
    "en_es_both": "Translate the word into the other language, English or Spanish.",
    "en_it_both": "Translate the word into the other language, English or Italian.",
    "gerund_both": "Write the -ing form of the verb, or its base form.",
    "past_simple_both": "Write the past tense of the verb, or its base form.",
    "past_participle_both": "Write the past participle of the verb, or its base form.",
}
CATEGORY = "bijection"


def are_related(task: str, other: str) -> bool:
    """Whether one of two tasks is made from the other, or both from the same pairs."""
    return bool(_family(task) & _family(other))


def _family(task: str) -> set[str | None]:
    return {task, *SOURCES.get(task, ())[:2]} - {None}


def bijection(name: str, read: Callable[[str], Mapping[str, Any]]) -> dict[str, Any]:
    """The data of a bijection task, in the form of a task file.

    A pair is left out where one of its words already stands on either side: each word has one
    partner. Further accepted outputs of either direction are kept.

    Args:
        read: gives the data of a task by its name.
    """
    forth, back, description = SOURCES[name]
    data = read(forth)
    known_back = _outputs(read(back)["pairs"]) if back else {}
    seen: set[str] = set()
    pairs = []
    for input, outputs in _outputs(data["pairs"]).items():
        output = outputs[0]
        if input in seen or output in seen or input == output:
            continue
        seen |= {input, output}
        others = [other for other in known_back.get(output, []) if other != input]
        pairs += [
            {"input": input, "output": outputs},
            {"input": output, "output": [input, *others]},
        ]
    return {
        "name": name,
        "category": CATEGORY,
        "version": 1,
        "description": f"{description}, both ways.",
        "instruction": INSTRUCTIONS[name],
        "source": f"made from {forth}" + (f" and {back}" if back and back != forth else ""),
        "licence": data["licence"],
        "pairs": pairs,
    }


def _outputs(pairs: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    return {pair["input"]: list(pair["output"]) for pair in pairs}

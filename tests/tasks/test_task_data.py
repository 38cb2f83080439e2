from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "data" / "tasks").glob("*.json"))

TRANSLATIONS = ["fr_en", "en_fr", "es_en", "en_es"]
MINIMUM = {
    "country_capital": ("knowledge", 190),
    "location_continent": ("knowledge", 300),
    "location_religion": ("knowledge", 150),
    "person_language": ("knowledge", 300),
    **dict.fromkeys(TRANSLATIONS, ("translation", 400)),
    "present_simple_gerund": ("linguistic", 400),
    "present_simple_past_simple": ("linguistic", 400),
    "plural_singular": ("linguistic", 200),
    "antonyms": ("linguistic", 200),
    "en_it": ("translation", 300),  # these two only make bijection tasks
    "present_simple_past_participle": ("linguistic", 300),
    "sentiment": ("classification", 160),
    "topic": ("classification", 160),
    "question_type": ("classification", 180),
}
LABELS = {
    "sentiment": {"positive", "negative"},
    "topic": {"business", "politics", "science", "sports"},
    "question_type": {"method", "number", "person", "place", "reason", "time"},
}
KEYS = {"instruction", "name", "category", "version", "description", "source", "licence", "pairs"}
CONTINENTS = {"Africa", "Antarctica", "Asia", "Europe", "North America", "Oceania", "South America"}
RELIGIONS = {"Buddhism", "Christianity", "Hinduism", "Islam", "Judaism", "Shinto", "Sikhism"}
CHRISTIAN = ("Catholicism", "Christian", "Eastern Orthodoxy", "Orthodox Christianity")
ADHERENTS = {
    **dict.fromkeys((*CHRISTIAN, "Roman Catholicism"), "Christianity"),
    "Buddhist": "Buddhism", "Hindu": "Hinduism", "Islamic": "Islam", "Jewish": "Judaism",
    "Muslim": "Islam", "Shintoism": "Shinto", "Sikh": "Sikhism",
}  # fmt: skip
LANGUAGES = set(
    "Arabic Bengali Bulgarian Chinese Czech Danish Dutch English Finnish French German Greek "
    "Hebrew Hindi Hungarian Icelandic Italian Japanese Korean Latin Norwegian Persian Polish "
    "Portuguese Romanian Russian Spanish Swedish Turkish Ukrainian Vietnamese".split()
) | {"Ancient Greek"}
LANGUAGE_VARIANTS = {
    "Bangla": "Bengali",
    "Classical Chinese": "Chinese",
    "Farsi": "Persian",
    "Greek": "Ancient Greek",
    "Mandarin": "Chinese",
    "Mandarin Chinese": "Chinese",
    "Modern Greek": "Greek",
}
BRITISH = re.compile(
    r"^(?:colour|favour|flavour|neighbour|honour|labour|theatre|centre|grey|programme|moustache"
    r"|travell(?:ed|ing)|cancell(?:ed|ing)|(?:re[ao]l|recogn|organ|apolog|critic)is(?:e|ed|ing)"
    r"|analys(?:e|ed|ing)|practis(?:e|ed|ing)|learnt|burnt|dreamt|leapt|leant|smelt|spilt|spoilt"
    r"|spelt)$"
)
LETTERS = {
    "fr": re.compile(r"[a-zàâæçéèêëîïôœùûüÿ' -]+", re.IGNORECASE),
    "es": re.compile(r"[a-záéíñóúü ]+", re.IGNORECASE),
    "en": re.compile(r"[a-z' -]+", re.IGNORECASE),
}


@cache
def load(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def pairs(name: str) -> dict[str, list[str]]:
    data = load(ROOT / "data" / "tasks" / f"{name}.json")
    return {pair["input"]: pair["output"] for pair in data["pairs"]}


def strings(path: Path) -> list[str]:
    data = load(path)
    words = [word for pair in data["pairs"] for word in (pair["input"], *pair["output"])]
    return [data[key] for key in sorted(KEYS - {"version", "pairs"})] + words


def test_every_expected_task_has_a_file_and_no_other_file_exists() -> None:
    assert {path.stem for path in FILES} == set(MINIMUM)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_well_formed_and_large_enough(path: Path) -> None:
    data = load(path)
    assert set(data) == KEYS
    assert (data["name"], data["version"]) == (path.stem, 1)
    assert data["category"] == MINIMUM[path.stem][0]
    assert data["description"].endswith(".")
    assert len(data["pairs"]) >= MINIMUM[path.stem][1]
    for pair in data["pairs"]:
        assert set(pair) == {"input", "output"}
        assert isinstance(pair["input"], str)
        assert isinstance(pair["output"], list) and pair["output"], pair
        assert all(isinstance(word, str) for word in pair["output"])
        assert len(set(pair["output"])) == len(pair["output"]), pair
        assert pair["input"].casefold() not in {word.casefold() for word in pair["output"]}, pair
    for text in strings(path):
        assert text and text == text.strip(), repr(text)
        assert text == unicodedata.normalize("NFC", text), repr(text)
        assert not set(text) & set("→\n\r\t"), repr(text)
        assert "  " not in text, repr(text)
    inputs = [pair["input"].casefold() for pair in data["pairs"]]
    assert len(set(inputs)) == len(inputs)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(data["pairs"]) + 2, "one pair a line"
    assert json.loads(lines[1].rstrip(",")) == data["pairs"][0]


@pytest.mark.parametrize("name", sorted(MINIMUM))
def test_inputs_and_first_outputs_are_spelled_the_american_way(name: str) -> None:
    for word, accepted in pairs(name).items():
        assert not BRITISH.match(word), word
        assert not BRITISH.match(accepted[0]), accepted


@pytest.mark.parametrize("name", LABELS)
def test_texts_are_classified_evenly_and_name_no_label(name: str) -> None:
    texts = pairs(name)
    counts = Counter(label for (label,) in texts.values())
    assert set(counts) == LABELS[name] and len(set(counts.values())) == 1
    words = {text: set(re.findall(r"\w+", text.casefold())) for text in texts}
    for text, own in words.items():
        assert not own & LABELS[name], text
        assert 3 <= len(text.split()) <= 20 and text[0].isupper(), text
        assert text[-1] == {"sentiment": ".", "question_type": "?"}.get(name, text[-1].lower())
    for one, other in combinations(words, 2):
        assert len(words[one] & words[other]) / len(words[one] | words[other]) <= 0.6, (one, other)


@pytest.mark.parametrize("name", LABELS)
def test_no_wording_is_a_template(name: str) -> None:
    starts = Counter(" ".join(text.split()[:4]) for text in pairs(name))
    assert max(starts.values()) <= 2, starts.most_common(3)


def test_every_location_lies_on_a_known_continent_and_all_have_a_fair_share() -> None:
    accepted = list(pairs("location_continent").values())
    assert {first for first, *_ in accepted} == CONTINENTS
    assert {tuple(rest) for first, *rest in accepted if first != "Oceania"} == {()}
    assert {tuple(rest) for first, *rest in accepted if first == "Oceania"} == {(), ("Australia",)}
    firsts = [first for first, *_ in accepted]
    assert min(firsts.count(name) for name in CONTINENTS - {"Antarctica"}) >= 40


def test_every_religion_is_known_and_its_variants_belong_to_it() -> None:
    for place, (first, *rest) in pairs("location_religion").items():
        assert first in RELIGIONS, place
        assert {ADHERENTS[word] for word in rest} <= {first}, place


def test_every_language_is_known_and_its_variants_belong_to_it() -> None:
    accepted = pairs("person_language")
    for person, (first, *rest) in accepted.items():
        assert first in LANGUAGES, person
        assert {LANGUAGE_VARIANTS[word] for word in rest} <= {first}, person
    assert {first for first, *_ in accepted.values()} == LANGUAGES


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_translations_use_only_letters_of_their_language(name: str) -> None:
    source, target = name.split("_")
    for word, accepted in pairs(name).items():
        assert LETTERS[source].fullmatch(word), word
        assert all(LETTERS[target].fullmatch(answer) for answer in accepted), accepted


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_a_first_translation_translated_back_accepts_the_word_it_came_from(name: str) -> None:
    source, target = name.split("_")
    inverse = pairs(f"{target}_{source}")
    for word, accepted in pairs(name).items():
        if accepted[0] in inverse:
            assert word in inverse[accepted[0]], (word, accepted)


def test_every_gerund_is_one_lower_case_word_ending_in_ing() -> None:
    for verb, accepted in pairs("present_simple_gerund").items():
        assert all(re.fullmatch(r"[a-z]+ing", form) for form in accepted), verb
        assert re.fullmatch(r"[a-z]+", verb)


def test_every_past_form_is_one_lower_case_word_with_at_most_two_variants() -> None:
    for verb, accepted in pairs("present_simple_past_simple").items():
        assert all(re.fullmatch(r"[a-z]+", form) for form in (verb, *accepted)), verb
        assert len(accepted) <= 2, verb


def test_every_singular_differs_from_its_plural_and_is_no_plural_itself() -> None:
    forms = pairs("plural_singular")
    for plural, accepted in forms.items():
        assert accepted[0] not in forms, plural
        assert re.fullmatch(r"[a-z-]+", plural) and re.fullmatch(r"[a-z-]+", accepted[0])


def test_antonyms_are_single_words_and_no_word_shares_an_antonym_with_its_opposite() -> None:
    words = pairs("antonyms")
    for word, accepted in words.items():
        assert all(re.fullmatch(r"[a-z-]+", text) for text in (word, *accepted)), word
        back = words.get(accepted[0])
        assert back is None or not set(back) & set(accepted), (word, accepted, back)

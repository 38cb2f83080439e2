"""Fonts for names in scripts that the figures' own font lacks."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.text import Text

OWN = "DejaVu Sans"  # comes with matplotlib
BOXES = "Last Resort"  # has a box for every character


def choose_fonts(labels: "list[Text]") -> None:
    """Give labels fonts of this machine that have what the figures' own font lacks."""
    for label in labels:
        missing = {c for c in label.get_text() if c.isprintable() and ord(c) not in _charmap(OWN)}
        families = [
            name for name in (map(_family_with, sorted(missing)) if missing else ()) if name
        ]
        if families:
            label.set_fontfamily([OWN, *dict.fromkeys(families)])


def spell_out(labels: "list[Text]") -> None:
    """Write characters that no font of this machine has as U+4F60: boxes can't be told apart."""
    for label in labels:
        text = label.get_text()
        shown = (c if not c.isprintable() or _family_with(c) else f"U+{ord(c):04X}" for c in text)
        if (spelled := "".join(shown)) != text:
            label.set_text(spelled)


@cache
def _family_with(character: str) -> str:
    """The first family of this machine that has a character, or ""."""
    from matplotlib.font_manager import fontManager

    names = [OWN, *sorted({font.name for font in fontManager.ttflist})]
    own = (name for name in names if not name.startswith(BOXES))
    return next((name for name in own if ord(character) in _charmap(name)), "")


@cache
def _charmap(family: str) -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(family)).get_charmap())

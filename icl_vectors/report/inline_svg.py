"""An SVG of matplotlib made fit to stand in a page: its text alternative, its own ids, no sizes.

The page's colours take the place of ink, grid and ground, so that light and dark both work.
"""

import re
from html import escape

from icl_vectors.report.drawing import BLUE, FAINT, GROUND, INK, Picture

PAGE_COLOURS = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    GROUND: "var(--ground)",
    BLUE: "var(--blue)",
}


def inline_svg(picture: Picture, prefix: str) -> str:
    """The figure as an <svg> element; ids begin with the prefix, so that they are unique."""
    body = picture.svg[picture.svg.index("<svg") :]
    head, inner = body.split(">", 1)
    view = re.search(r'viewBox="([^"]*)"', head)
    assert view is not None
    inner = re.sub(r"\s*<metadata>.*?</metadata>", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="', f'id="{prefix}', inner)
    inner = re.sub(r'href="#', f'href="#{prefix}', inner)
    inner = inner.replace("url(#", f"url(#{prefix}")
    for colour, variable in PAGE_COLOURS.items():
        inner = inner.replace(colour, variable)
    return (
        f'<svg viewBox="{view.group(1)}" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-labelledby="{prefix}title {prefix}desc">'
        f'<title id="{prefix}title">{escape(picture.title)}</title>'
        f'<desc id="{prefix}desc">{escape(picture.alternative)}</desc>{inner.strip()}'
    )

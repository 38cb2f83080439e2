"""The page: one HTML file with its style, its script and its figures inside."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from icl_vectors.plain_text import without_orders
from icl_vectors.report.drawing import BLUE, FAINT, GROUND, INK, Picture
from icl_vectors.report.provenance import provenance_table, summary_line
from icl_vectors.report.section import Section, claims_table, verdict_cell
from icl_vectors.report.together import same_depth
from icl_vectors.runs.run import Run

MOST_SHOWN = 24  # runs whose figures a page holds, half a megabyte each
PAGE_COLOURS = {INK: "ink", FAINT: "faint", GROUND: "ground", BLUE: "blue"}
Pictures = Mapping[str, Picture]  # by name


def page(
    runs: Sequence[tuple[Run, str, Sequence[Section], Pictures]],
    together: Sequence[Section] = (),
    pictures: Pictures | None = None,
) -> str:
    """The report of one or several runs.

    Args:
        runs: each with its label, its sections, and its figures as they were drawn; none of them
            where there are more than `MOST_SHOWN` runs.
        together: sections about all runs, with their figures in `pictures`.
    """
    forms = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return without_orders(
        forms.from_string(_read("page.html.jinja")).render(
            title="Task vectors: " + "; ".join(_titles(runs)),
            models={run.label: run for run, _, _, _ in runs},
            chapters=[_chapter(f"run{number}", *one) for number, one in enumerate(runs, 1)],
            together=[_part("all", section, pictures or {}) for section in together],
            depth=same_depth([run for run, _, _, _ in runs]) if len(runs) > 1 else None,
            has_too_many=len(runs) > MOST_SHOWN,
            verdict=verdict_cell,
            style=Markup(_read("page.css")),
            script=Markup(_read("page.js")),
        )
    )


def _titles(runs: Sequence[tuple[Run, str, Sequence[Section], Pictures]]) -> list[str]:
    """The runs' labels; of one model's runs the first, and how many there are."""
    found: dict[str, list[str]] = {}
    for run, label, _, _ in runs:
        found.setdefault(run.label, []).append(label)
    return [
        labels[0] if len(labels) == 1 else f"{model}, {len(labels)} runs"
        for model, labels in found.items()
    ]


def _chapter(
    anchor: str, run: Run, label: str, sections: Sequence[Section], pictures: Pictures
) -> dict[str, Any]:
    """One run, as the template names it."""
    claims = [claim for section in sections for claim in section.claims]
    tables = (claims_table(claims),) if claims else ()
    verdicts = Section("claims", "The paper's claims", tables=tables)
    parts = [_part(anchor, section, pictures) for section in (verdicts, *sections)]
    return {
        "anchor": anchor,
        "label": label,
        "run": run,
        "summary": summary_line(run),
        "claims": claims,
        "sections": [part for part in parts if part["figures"] or part["tables"]],
        "provenance": provenance_table(run),
    }


def _part(anchor: str, section: Section, pictures: Pictures) -> dict[str, Any]:
    """A section, its figures as SVG elements."""
    drawn = [pictures[one.name] for one in section.figures if one.name in pictures]
    return {
        "anchor": f"{anchor}-{section.anchor}",
        "title": section.title,
        "figures": [(one, Markup(inline_svg(one, f"{anchor}-{one.name}-"))) for one in drawn],
        "tables": section.tables,
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
        inner = inner.replace(colour, f"var(--{variable})")
    return (
        f'<svg viewBox="{view.group(1)}" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-labelledby="{prefix}title {prefix}desc">'
        f'<title id="{prefix}title">{escape(picture.title)}</title>'
        f'<desc id="{prefix}desc">{escape(picture.alternative)}</desc>{inner.strip()}'
    )


def _read(name: str) -> str:
    return (files("icl_vectors.report") / name).read_text("utf-8")

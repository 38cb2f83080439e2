"""Figures that stand already: what a run holds has not changed, so they are not drawn again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from icl_vectors.files import write_json
from icl_vectors.report.drawing import Drawing, Picture, render
from icl_vectors.report.figures import figures_of
from icl_vectors.report.run import Run

LIST, FIGURES = ".drawn.json", "figures"


def pictures_of(run: Run, folder: Path) -> list[Picture]:
    """The figures of a run: those that stand in its folder where they are of the same data, drawn
    by the same code, and unchanged since; else drawn.

    Args:
        folder: of the run.
    """
    drawings = figures_of(run)
    listed = _listed(folder, _data_and_code(run))
    return [_standing(one, folder, listed) or render(one) for one in drawings]


def list_drawn(run: Run, pictures: Sequence[Picture], folder: Path) -> None:
    """Write down what the figures of a run's folder were drawn from."""
    content = {"of": _data_and_code(run), "sha256": {one.name: _sha256(one) for one in pictures}}
    write_json(folder / LIST, content)


def _standing(drawing: Drawing, folder: Path, listed: dict[str, str]) -> Picture | None:
    name = drawing.name
    try:
        svg = (folder / FIGURES / f"{name}.svg").read_text("utf-8")
        png = (folder / FIGURES / f"{name}.png").read_bytes()
    except (OSError, UnicodeDecodeError):
        return None  # gone or damaged: it is drawn
    found = Picture(name, drawing.title, drawing.caption, drawing.alternative, svg, png)
    return found if listed.get(name) == _sha256(found) else None


def _listed(folder: Path, of: str) -> dict[str, str]:
    """Checksums by the figure's name; empty where the list is of other data, or no list."""
    try:
        content = json.loads((folder / LIST).read_bytes())
        return dict(content["sha256"]) if content["of"] == of else {}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


def _data_and_code(run: Run) -> str:
    """One checksum of all that decides how the figures look; when a run was made does not."""
    seen = repr((replace(run, about={}), _code()))
    return hashlib.sha256(seen.encode("utf-8", "backslashreplace")).hexdigest()


@cache
def _code() -> tuple[str, ...]:
    sources = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    return (hashlib.sha256(b"".join(sources)).hexdigest(), *map(_version, ("matplotlib", "scipy")))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sha256(picture: Picture) -> str:
    return hashlib.sha256(picture.svg.encode("utf-8") + picture.png).hexdigest()

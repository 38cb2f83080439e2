"""The page: one HTML file with its style, its script and its figures inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from icl_vectors.plain_text import without_orders
from icl_vectors.report.claims import claims_of
from icl_vectors.report.claims_of_sweep import same_depth
from icl_vectors.report.drawing import Picture
from icl_vectors.report.inline_svg import inline_svg
from icl_vectors.report.provenance import provenance_table, summary_line
from icl_vectors.report.run import Run
from icl_vectors.report.table import Table
from icl_vectors.report.tables import claims_table, tables_of
from icl_vectors.report.tables_of_sweep import models_table
from icl_vectors.report.verdicts import Claim, verdict_cell

MOST_SHOWN = 24  # runs whose figures a page holds, half a megabyte each

# Which figures and tables stand under which heading; a heading without any is left out.
SECTIONS = (
    ("claims", "The paper's claims", (), ("claims",)),
    ("methods", "Three methods", ("methods_by_task",), ("tasks", "seeds", "categories", "models")),
    ("layers", "Which layer", ("layers_mean", "layers_by_task"), ()),
    (
        "clusters",
        "The map of vectors",
        ("map_tsne", "map_pca", "distances", "distances_of_tasks", "silhouette_by_layer"),
        ("clusters",),
    ),
    ("conflicts", "Conflicting tasks", ("conflicts",), ("conflicts",)),
    ("vocabulary", "What θ says", (), ("vocabulary",)),
    (
        "compared",
        "Kinds of task vectors",
        ("methods_compared", "shots", "arrows"),
        ("methods_compared", "controls", "tasks_of_methods", "shots", "arrows"),
    ),
    ("examples", "Examples", (), ("examples",)),
)


@dataclass(frozen=True)
class Section:
    """A heading with its figures (as SVG elements) and tables."""

    anchor: str
    title: str
    figures: tuple[tuple[Picture, Markup], ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Chapter:
    """One run in the page."""

    anchor: str
    label: str
    run: Run
    summary: str
    claims: tuple[Claim, ...]
    sections: tuple[Section, ...]
    provenance: Table


def page(
    runs: Sequence[Run],
    labels: Sequence[str],
    pictures: Sequence[Sequence[Picture]],
    shared: Sequence[Picture],
    precision: tuple[Sequence[Picture], Sequence[Table]] = ((), ()),
) -> str:
    """The report of one or several runs.

    Args:
        pictures: of each run; none of them where there are more than `MOST_SHOWN` runs.
        shared: of all runs together.
        precision: figures and tables of a comparison of precisions, where it is one.
    """
    chapters = [
        _chapter(f"run{number}", run, label, own)
        for number, (run, label, own) in enumerate(zip(runs, labels, pictures, strict=True), 1)
    ]
    return without_orders(
        _environment()
        .from_string(_part("page.html.jinja"))
        .render(
            title="Task vectors: " + ", ".join(labels),
            chapters=chapters,
            together=_together(runs, labels, shared, *precision) if len(runs) > 1 else (),
            depth=same_depth(runs) if len(runs) > 1 else None,
            has_too_many=len(runs) > MOST_SHOWN,
            verdict=verdict_cell,
            style=Markup(_part("page.css")),
            script=Markup(_part("page.js")),
        )
    )


def _chapter(anchor: str, run: Run, label: str, pictures: Sequence[Picture]) -> Chapter:
    tables = {table.name: table for table in tables_of(run)}
    drawn = {picture.name: picture for picture in pictures}
    sections = [
        Section(
            f"{anchor}-{name}",
            title,
            tuple(_inline(drawn[figure], anchor) for figure in figures if figure in drawn),
            tuple(tables[table] for table in names if table in tables),
        )
        for name, title, figures, names in SECTIONS
    ]
    return Chapter(
        anchor,
        label,
        run,
        summary_line(run),
        tuple(claims_of(run)),
        tuple(section for section in sections if section.figures or section.tables),
        provenance_table(run),
    )


def _together(
    runs: Sequence[Run],
    labels: Sequence[str],
    shared: Sequence[Picture],
    figures: Sequence[Picture],
    compared: Sequence[Table],
) -> tuple[Section, ...]:
    tables = (models_table(runs, labels), claims_table([same_depth(runs)], "claims_of_all"))
    whole = Section("all", "All runs together", tuple(_inline(p, "all") for p in shared), tables)
    if not compared:
        return (whole,)
    drawn = tuple(_inline(p, "precision") for p in figures)
    return (Section("precision", "Precision against precision", drawn, tuple(compared)), whole)


def _inline(picture: Picture, anchor: str) -> tuple[Picture, Markup]:
    return picture, Markup(inline_svg(picture, f"{anchor}-{picture.name}-"))


def _environment() -> Environment:
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _part(name: str) -> str:
    return (files("icl_vectors.report") / name).read_text("utf-8")

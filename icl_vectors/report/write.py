"""Writing the report: figures and tables into each run's folder, one page for all of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from icl_vectors.errors import IclVectorsError
from icl_vectors.files import write_whole
from icl_vectors.report.alone import drawing_alone, refused_folders
from icl_vectors.report.claims_of_sweep import same_depth
from icl_vectors.report.drawing import Picture, render
from icl_vectors.report.drawn import FIGURES, list_drawn, pictures_of
from icl_vectors.report.figures import figures_of_all
from icl_vectors.report.html import MOST_SHOWN, page
from icl_vectors.report.paired import compare_precisions
from icl_vectors.report.read import find_runs, read_run
from icl_vectors.report.run import Run
from icl_vectors.report.table import Table, to_latex, to_markdown
from icl_vectors.report.tables import claims_table, tables_of
from icl_vectors.report.tables_of_precision import cosine_figure, precision_tables, read_crossed
from icl_vectors.report.tables_of_sweep import models_table

TABLES = "tables"
PARTS = (FIGURES, TABLES)
WIDEST_FIRST = ("float32", "bfloat16", "float16", "int8", "nf4", "fp4")


def write_report(
    folders: Sequence[Path],
    output: Path | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write one page about one or several runs, and each run's figures and tables.

    Args:
        folders: of runs, or folders that hold several runs.
        output: the page; by default report.html in the first folder.
        notice: is told of each run before its figures are drawn.

    Returns:
        The page's path.

    Raises:
        IclVectorsError: a folder is no run, or can't be written.
    """
    if not folders:
        raise IclVectorsError("expected the folder of at least one run, found none.")
    places = list(dict.fromkeys(run for folder in folders for run in find_runs(Path(folder))))
    path = output or Path(folders[0]) / "report.html"
    if output:
        with refused_folders(output):
            output.parent.mkdir(parents=True, exist_ok=True)
    with drawing_alone([*places, *([] if output else [path.parent])]):
        return _write_report(folders, places, path, notice)


def _write_report(
    folders: Sequence[Path], places: Sequence[Path], path: Path, notice: Callable[[str], None]
) -> Path:
    runs = [read_run(place) for place in places]
    labels = _labels(runs)
    pictures = []
    for number, (place, run) in enumerate(zip(places, runs, strict=True), 1):
        notice(f"Figures and tables, run {number} of {len(runs)}: {place}")
        own = _write_own(place, run)
        pictures.append(own if len(runs) <= MOST_SHOWN else [])
    shared = [render(drawing) for drawing in figures_of_all(runs, labels)]
    if len(runs) > 1:
        tables = [models_table(runs, labels), claims_table([same_depth(runs)], "claims_of_all")]
        _write_parts(Path(folders[0]), shared, tables if places[0] != folders[0] else tables[1:])
    precision = _precision(runs, places, [path.parent, *folders])
    if precision[1]:
        _write_parts(path.parent, *precision)
    _write(path, page(runs, labels, pictures, shared, precision).encode())
    return path


def _precision(
    runs: Sequence[Run], places: Sequence[Path], beside: Sequence[Path]
) -> tuple[list[Picture], tuple[Table, ...]]:
    """Figure and tables of a comparison of precisions, where the runs differ in dtype alone."""
    crossed = read_crossed(beside)
    order = crossed["dtypes"] if crossed else WIDEST_FIRST
    pairs = sorted(zip(runs, places, strict=True), key=lambda pair: _rank(pair[0].dtype, order))
    compared = compare_precisions([run for run, _ in pairs], [place for _, place in pairs])
    if not compared:
        return [], ()
    drawing = cosine_figure(compared)
    tables = precision_tables(compared, crossed)
    return [] if drawing is None else [render(drawing)], tables


def _rank(dtype: str, order: Sequence[str]) -> int:
    return order.index(dtype) if dtype in order else len(order)


def write_figures_and_tables(folder: Path) -> None:
    """Write figures/*.svg and *.png and tables/*.md and *.tex of one run into its folder.

    Raises:
        IclVectorsError: the folder is no run, or can't be written.
    """
    with drawing_alone([folder]):
        run = read_run(folder)
        _write_own(folder, run)


def _labels(runs: Sequence[Run]) -> list[str]:
    """Model and dtype of each run, numbered where several are alike."""
    names = [run.label for run in runs]
    return [
        f"{name} #{names[:place].count(name) + 1}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _write_own(folder: Path, run: Run) -> list[Picture]:
    """Write a run's figures and tables into its folder; returns the figures."""
    pictures = pictures_of(run, folder)
    _write_parts(folder, pictures, tables_of(run))
    if pictures:
        with refused_folders(folder):
            list_drawn(run, pictures, folder)
    return pictures


def _write_parts(folder: Path, pictures: Sequence[Picture], tables: Sequence[Table]) -> None:
    for picture in pictures:
        _write(folder / FIGURES / f"{picture.name}.svg", picture.svg.encode())
        _write(folder / FIGURES / f"{picture.name}.png", picture.png)
    for table in tables:
        _write(folder / TABLES / f"{table.name}.md", to_markdown(table).encode())
        _write(folder / TABLES / f"{table.name}.tex", to_latex(table).encode())


def _write(path: Path, content: bytes) -> None:
    with refused_folders(path):
        if path.parent.name in PARTS:  # no more than that: a run that was removed stays so
            path.parent.mkdir(exist_ok=True)
        write_whole(path, content)

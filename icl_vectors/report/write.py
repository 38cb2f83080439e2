"""Writing the report: figures and tables into each run's folder, one page for all of them.

One process at a time draws a run: whoever comes later reads what is there by then, so that a
report that was begun while the run went on never replaces the run's own, which is newer.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from errno import EDQUOT, EFBIG, EIO, ENOENT, ENOSPC
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

from icl_vectors.discovery import experiment, experiment_names, report_of
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.observer import Log, silent
from icl_vectors.report.drawing import Picture, render
from icl_vectors.report.dtypes import precision
from icl_vectors.report.examples import answers_table, examples_table
from icl_vectors.report.page import MOST_SHOWN, page
from icl_vectors.report.section import Section, claims_table, present
from icl_vectors.report.sweep.tables import models_table
from icl_vectors.report.table import Table, to_latex, to_markdown
from icl_vectors.report.together import claims_over_seeds, layers_of_runs, same_depth
from icl_vectors.runs.files import write_whole
from icl_vectors.runs.lines import MOST
from icl_vectors.runs.reading import find_runs, read_run
from icl_vectors.runs.run import Run

FIGURES, TABLES = "figures", "tables"
PARTS = (FIGURES, TABLES)
LOCK = ".report.lock"  # apart from the lock of the run, which goes on meanwhile
PATIENCE = 600.0  # seconds; what takes long is drawing hundreds of runs
FULL = (ENOSPC, EDQUOT, EFBIG, EIO)
Chapter: TypeAlias = tuple[Run, str, list[Section], dict[str, Picture]]  # run, label, …


def write_report(
    folders: Sequence[Path],
    output: Path | None = None,
    log: Log = silent,
) -> Path:
    """Write one page about one or several runs, and each run's figures and tables.

    Args:
        folders: of runs, or folders that hold several runs.
        output: the page; by default report.html in the first folder.
        log: is called for each run before its figures are drawn.

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
        with _refused_folders(output):
            output.parent.mkdir(parents=True, exist_ok=True)
    with _drawing_alone([*places, *([] if output else [path.parent])]):
        return _write_report(folders, places, path, log)


def _write_report(folders: Sequence[Path], places: Sequence[Path], path: Path, log: Log) -> Path:
    kinds = {name: kind for name in experiment_names() if (kind := experiment(name).Result)}
    runs = [read_run(place, kinds) for place in places]
    labels = _labels(runs)
    chapters: list[Chapter] = []
    for number, (place, run, label) in enumerate(zip(places, runs, labels, strict=True), 1):
        log(f"Figures and tables, run {number} of {len(runs)}: {place}")
        sections = sections_of(run)
        own = _write_own(place, run, sections)
        if run.examples:
            _insert_answers(sections, run, MOST // len(runs))
        shown = own if len(runs) <= MOST_SHOWN else []
        chapters.append((run, label, sections, {one.name: one for one in shown}))
    together = _together(chapters, places, [path.parent, *folders]) if len(runs) > 1 else []
    pictures: dict[str, Picture] = {}
    for place, section in together:
        drawn = [render(drawing) for drawing in section.figures]
        pictures |= {one.name: one for one in drawn}
        tables = list(section.tables)
        if section.claims:
            tables.append(claims_table(section.claims, "claims_of_all"))
        if place == places[0]:  # its own table of models is already there
            tables = [one for one in tables if one.name != "models"]
        _write_parts(place, drawn, tables)
    _write(path, page(chapters, [section for _, section in together], pictures).encode())
    return path


def sections_of(run: Run) -> list[Section]:
    """Every experiment's part of the report.

    Those of the paper are there with what was not run too, and their claims only where tasks of
    the paper were run.
    """
    names = [name for name in experiment_names() if name in run.parts or not run.is_apart]
    found = [section for name in names for section in report_of(name).sections(run)]
    return found if run.of_paper else [replace(section, claims=()) for section in found]


def _insert_answers(sections: list[Section], run: Run, most: int) -> None:
    """Behind the curves by layer, where there are some."""
    finished = sum(one.n_test for one in run.tasks) or len(run.examples)
    table = answers_table(run.examples, finished, most)
    anchors = [one.anchor for one in sections]
    place = anchors.index("layers") + 1 if "layers" in anchors else len(anchors)
    sections.insert(place, Section("answers", "Every test prompt", tables=(table,)))


def _together(
    chapters: Sequence[Chapter], places: Sequence[Path], beside: Sequence[Path]
) -> list[tuple[Path, Section]]:
    """Sections about all runs, each with the folder that its figures and tables go to."""
    runs, labels = [run for run, *_ in chapters], [label for _, label, *_ in chapters]
    figures, tables = present(layers_of_runs(runs, labels)), (models_table(runs, labels),)
    whole = Section("together", "All runs together", (same_depth(runs),), figures, tables)
    seeds = claims_over_seeds([(run, sections) for run, _, sections, _ in chapters])
    first = present(seeds, precision(runs, places, beside))
    return [*((beside[0], section) for section in first), (beside[1], whole)]


def _labels(runs: Sequence[Run]) -> list[str]:
    """Model and dtype of each run; where several are alike their seeds, else numbers."""
    names = [run.label for run in runs]
    seeds = [{one.seed for one in run.tasks} for run in runs]
    if len({*names}) < len(names) and all(len(own) == 1 for own in seeds):
        named = [f"{name}, seed {min(own)}" for name, own in zip(names, seeds, strict=True)]
        names = named if len({*named}) == len(names) else names
    return [
        f"{name} #{names[:place].count(name) + 1}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _write_own(folder: Path, run: Run, sections: Sequence[Section]) -> list[Picture]:
    """Write a run's figures and tables into its folder; returns the figures."""
    pictures = [render(drawing) for section in sections for drawing in section.figures]
    claims = [claim for section in sections for claim in section.claims]
    tables = [claims_table(claims)] if claims else []
    tables += [table for section in sections for table in section.tables]
    tables += [examples_table(run.examples)] if run.examples else []
    _write_parts(folder, pictures, tables)
    return pictures


def _write_parts(folder: Path, pictures: Sequence[Picture], tables: Sequence[Table]) -> None:
    for picture in pictures:
        _write(folder / FIGURES / f"{picture.name}.svg", picture.svg.encode())
        _write(folder / FIGURES / f"{picture.name}.png", picture.png)
    for table in tables:
        _write(folder / TABLES / f"{table.name}.md", to_markdown(table).encode())
        _write(folder / TABLES / f"{table.name}.tex", to_latex(table).encode())


def _write(path: Path, content: bytes) -> None:
    with _refused_folders(path):
        if path.parent.name in PARTS:  # no more than that: a run that was removed stays so
            path.parent.mkdir(exist_ok=True)
        write_whole(path, content)


@contextmanager
def _drawing_alone(places: Iterable[Path]) -> Iterator[None]:
    """Wait until no other process draws these folders, and keep others waiting meanwhile.

    Raises:
        IclVectorsError: a folder can't be written, or another process draws for too long.
    """
    resolved = sorted({place.resolve() for place in places})  # in one order: no two wait in a ring
    with ExitStack() as held:
        for place in resolved:
            with _refused_folders(place):
                held.enter_context(FileLock(place / LOCK, timeout=PATIENCE))
        yield


@contextmanager
def _refused_folders(path: Path) -> Iterator[None]:
    """Turn what an operating system says into an error that names the path.

    Raises:
        IclVectorsError: the path can't be written.
        RunError: the disk is full or fails, or the folder was removed.
    """
    try:
        yield
    except Timeout as error:
        raise IclVectorsError(
            f"{path}: another process has been drawing it for {PATIENCE / 60:.0f} minutes; "
            "wait for it, or end it."
        ) from error
    except OSError as error:
        if error.errno == ENOENT:
            raise RunError(f"{path}: its folder was removed while it was drawn.") from error
        failure = f"{path}: cannot be written ({error.strerror}); "
        if error.errno in FULL:
            raise RunError(
                f"{failure}make room, then give the same command again, or `icl-vectors report`."
            ) from error
        raise IclVectorsError(f"{failure}give a folder that can be written.") from error

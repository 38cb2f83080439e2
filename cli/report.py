"""`icl-vectors report DIR…`: figures, tables and one HTML page from finished run folders."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from icl_vectors.cli.opening import say
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.discovery import experiment, experiment_names
from icl_vectors.errors import IclVectorsError, unknown_name


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, or a folder that holds several.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The page; by default report.html in the first folder."),
    ] = None,
) -> None:
    """Write the report of runs: one HTML page, figures, tables.

    Example: icl-vectors report runs/gemma-3-270m-float32-sweep --output report.html
    """
    if output is not None and not _can_be_made(output):
        raise IclVectorsError(
            f"--output {output}: expected a file that can be written, found "
            f"{'a folder there' if output.is_dir() else 'a file for a folder'}; give another place."
        )
    from icl_vectors.report.write import write_report

    show(write_report(runs, output, say(quiet=False)))


def schema(
    name: Annotated[
        str, typer.Argument(help="run, results, or an experiment: its configuration.")
    ] = "results",
) -> None:
    """Print the JSON Schema of a run's files or configurations.

    Example: icl-vectors schema results
    """
    from icl_vectors.runs.run_file import RunFile
    from icl_vectors.runs.schema import ResultsFile

    kinds: dict[str, Any] = {"run": RunFile, "results": ResultsFile}
    kinds |= {one: experiment(one).Config for one in experiment_names()}
    if name not in kinds:
        raise unknown_name("schema", name, kinds)
    show_json(kinds[name].model_json_schema())


def draw(folders: list[Path], quiet: bool, output: Path | None = None) -> None:
    """Figures, tables and report of runs, whose results are complete: a failure is one line.

    `icl-vectors report` draws them later.
    """
    from icl_vectors.report.write import write_report

    try:
        page = write_report(folders, output)
    except Exception as error:  # whatever fails in drawing, nothing that was measured is lost
        reason = str(error) if isinstance(error, IclVectorsError) else repr(error)
        command = shlex.join(["icl-vectors", "report", *map(str, folders)])
        line = f"No figures and no report: {reason} The results are complete; draw later: {command}"
        return show(" ".join(line.split()), sys.stderr)
    say(quiet)(f"Report: {page}")


def _can_be_made(output: Path) -> bool:
    """Whether a file can be there: it is no folder, and what is above it is."""
    there = next(one for one in output.absolute().parents if one.exists())
    return there.is_dir() and not output.is_dir()

"""`report`, `explore` and `schema`: pages for the browser, of finished runs and to try things."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from icl_vectors.cli import options
from icl_vectors.cli.model_options import AS_USUAL, ModelOptions, expands_options, say
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.discovery import experiment, experiment_names
from icl_vectors.errors import IclVectorsError, unknown_name


def report(
    runs: Annotated[list[Path], Argument(help="Folders of runs, or a folder that holds several.")],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="The page; by default report.html in the first folder."),
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


@expands_options
def explore(
    model: options.OneModel = "gemma-3-270m",
    model_options: ModelOptions = AS_USUAL,
    port: Annotated[
        int | None, Option(help="Of the page; the first free one from 7860 on.")
    ] = None,
    listen: Annotated[
        str, Option(help="The address to listen on; 0.0.0.0 for every network.")
    ] = "127.0.0.1",
    no_browser: Annotated[
        bool, Option("--no-browser", help="Print the address; open no browser.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Explore θ in the browser: what each block answers.

    Tokens of the prompt are shown as you type, the answers at a button. Ctrl-C ends it. --dtype
    takes one dtype here.

    Who reaches the page can open any model that you can: --listen is for networks that you trust.

    Example: icl-vectors explore --model gemma-3-270m
    """
    dtype = model_options.only_dtype
    try:
        from icl_vectors.explore.app import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "gradio":
            raise
        raise IclVectorsError(
            'explore: expected the package gradio, found none; pip install "icl-vectors[explore]".'
        ) from error
    serve(
        model,
        lambda reference: model_options.open(reference, dtype, quiet),
        port=port,
        host=listen,
        browser=not no_browser,
        started=lambda address: show(f"{address} (Ctrl-C ends it)", sys.stderr),
    )


def schema(
    name: Annotated[
        str, Argument(help="run, results, or an experiment: its configuration.")
    ] = "results",
) -> None:
    """Print the JSON Schema of a run's files or configurations.

    Example: icl-vectors schema results
    """
    from icl_vectors.runs.run_file import ResultsFile, RunFile

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

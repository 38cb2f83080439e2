"""`icl-vectors report DIR…`: figures, tables and one HTML page from finished run folders."""

from pathlib import Path
from typing import Annotated

import typer

from icl_vectors.cli.terminal import show


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs, or a folder that holds several.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="The page; by default report.html in the first folder."),
    ] = None,
) -> None:
    """Write the report of one or several runs: one HTML file, figures and tables beside it.

    Example: icl-vectors report runs/gemma-3-270m-float32-sweep --output report.html
    """
    from icl_vectors.report import write_report

    show(write_report(runs, output))

"""The command `icl-vectors`: errors become messages and exit codes."""

import sys
from typing import Annotated, Any

import typer

from icl_vectors.cli.check import check
from icl_vectors.cli.experiments import command_of
from icl_vectors.cli.models import models
from icl_vectors.cli.plan import plan
from icl_vectors.cli.report import explore, report, schema
from icl_vectors.cli.stopping import Stopping
from icl_vectors.cli.tasks import tasks
from icl_vectors.cli.terminal import HelpCommand, HelpGroup, adapt_streams, printable, show
from icl_vectors.cli.vectors import apply, extract, share
from icl_vectors.discovery import experiment, experiment_names
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.version import VERSION

UsageError: Any = typer.BadParameter.__base__  # of click, which newer typer carries within
EXIT_USER, EXIT_RUN, EXIT_INTERRUPTED = 2, 1, 130
LINES_SHOWN = 6
PIPE_CLOSED = "PacifyFlushWrapper"  # what click puts in the place of such a stdout
QUERY_HINT = " Queries that begin with - go behind --: apply FILE [OPTIONS] -- -5."

app = typer.Typer(
    name="icl-vectors",
    cls=HelpGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Task vectors of in-context learning: extract them, inject them, study them.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"icl-vectors {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Task vectors of in-context learning: extract them, inject them, study them."""


def main() -> None:
    """Run a command and exit.

    0 done, 2 the user's mistake, 1 the run could not go on, 130 Ctrl-C, 143 SIGTERM.
    """
    adapt_streams()
    stopping = Stopping()
    stopping.listen()
    try:
        code = _invoke(sys.argv[1:])
    except BaseException as error:  # an interruption may come in a library's own words
        code = stopping.code or _explain(error)
    sys.exit(stopping.close() or code)


def run(arguments: list[str]) -> int:
    """Run a command with arguments and return its exit code; a bug keeps its traceback."""
    try:
        return _invoke(arguments)
    except BaseException as error:
        return _explain(error)


def _invoke(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments or ["--help"], "icl-vectors", standalone_mode=False)
    except SystemExit:
        if type(sys.stdout).__name__ == PIPE_CLOSED:  # the reader has seen enough, as with `head`
            return 0
        raise
    if code == EXIT_INTERRUPTED:  # newer typer makes this of Ctrl-C
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> int:
    """Say in a few lines what went wrong, and give the exit code; a bug is raised again."""
    if isinstance(error, IclVectorsError):
        return _complain(str(error), EXIT_RUN if isinstance(error, RunError) else EXIT_USER)
    if isinstance(error, UsageError):
        command = error.ctx.command_path if error.ctx else "icl-vectors"
        hint = QUERY_HINT if hasattr(error, "option_name") and command.endswith(" apply") else ""
        said = error.format_message()
        end = "" if said.endswith(("?", ".")) else "."
        return _complain(f"{said}{end}{hint} See `{command} --help`.", EXIT_USER)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return _complain("interrupted; what was finished is kept.", EXIT_INTERRUPTED)
    if isinstance(error, OSError) and error.errno is not None:
        where = f" ({error.filename})" if error.filename else ""
        return _complain(f"the run could not go on: {error.strerror}{where}.", EXIT_RUN)
    raise error


def _complain(message: str, code: int) -> int:
    lines = message.strip().split("\n")
    if len(lines) > LINES_SHOWN:
        lines = [*lines[: LINES_SHOWN - 1], lines[-1]]  # the last one says what to do
    show("error: " + "\n".join(map(printable, lines)), sys.stderr)
    return code


OTHERS = (report, schema, extract, apply, explore, share, tasks, models, plan, check)


command: Any
for command in (*map(command_of, map(experiment, experiment_names())), *OTHERS):
    app.command(no_args_is_help=False, cls=HelpCommand)(command)

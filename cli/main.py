"""The command `icl-vectors`: errors become messages and exit codes."""

import sys
from typing import Annotated, Any

import typer

from icl_vectors.cli import commands
from icl_vectors.cli.terminal import printable, show
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.version import VERSION

UsageError: Any = typer.BadParameter.__base__  # of click, which newer typer carries within
EXIT_USER, EXIT_RUN, EXIT_INTERRUPTED = 2, 1, 130
LINES_SHOWN = 6

app = typer.Typer(
    name="icl-vectors",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Task vectors of in-context learning: extract them, put them in, study them.",
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
    """Task vectors of in-context learning: extract them, put them in, study them."""


commands.register(app)


def main() -> None:
    """Run a command: exit 0 done, 2 the user's mistake, 1 the run could not go on, 130 Ctrl-C."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command with arguments and return its exit code; a bug keeps its traceback."""
    arguments = arguments or ["--help"]
    try:
        code = typer.main.get_command(app).main(arguments, "icl-vectors", standalone_mode=False)
        if code == EXIT_INTERRUPTED:  # newer typer makes this of Ctrl-C
            raise KeyboardInterrupt
    except RunError as error:
        return _complain(str(error), EXIT_RUN)
    except IclVectorsError as error:
        return _complain(str(error), EXIT_USER)
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "icl-vectors"
        return _complain(f"{_sentence(error.format_message())} See `{command} --help`.", EXIT_USER)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted; what was finished is kept.", EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno is None:
            raise
        where = f" ({error.filename})" if error.filename else ""
        return _complain(f"the run could not go on: {error.strerror}{where}.", EXIT_RUN)
    return code if isinstance(code, int) else 0


def _sentence(text: str) -> str:
    return text if text.endswith(("?", ".")) else f"{text}."


def _complain(message: str, code: int) -> int:
    lines = message.strip().split("\n")
    if len(lines) > LINES_SHOWN:
        lines = [*lines[: LINES_SHOWN - 1], lines[-1]]  # the last one says what to do
    show("error: " + "\n".join(map(printable, lines)), sys.stderr)
    return code

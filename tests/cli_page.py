"""docs/cli.md, made of every command's --help: python -m tests.cli_page > docs/cli.md"""

from typing import Any

import typer

from icl_vectors.cli.main import app

WIDTH = 98
HEAD = """# Command line

Exit codes: 0 done; 2 a mistake that you can mend, named on stderr; 1 the run could not go on;
130 interrupted, what was finished is kept. Results go to stdout, progress to stderr.

These are the texts of `--help`; a test compares them.
"""


def cli_page() -> str:
    """The page as it should be."""
    group: Any = typer.main.get_command(app)
    parts = [HEAD]
    for name, command in group.commands.items():
        context = command.context_class(
            command, info_name=f"icl-vectors {name}", terminal_width=WIDTH, max_content_width=WIDTH
        )
        parts.append(f"## {name}\n\n```text\n{command.get_help(context).strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(cli_page(), end="")

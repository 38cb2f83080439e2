"""Which commands there are. Their modules import torch only when they run."""

import typer

from icl_vectors.cli.models import models
from icl_vectors.cli.sweep import sweep
from icl_vectors.cli.tasks import tasks
from icl_vectors.cli.theta import apply, extract


def register(app: typer.Typer) -> None:
    """Add every command to the application."""
    for command in (sweep, extract, apply, tasks, models):
        app.command(no_args_is_help=False)(command)

"""Which commands there are. Their modules import torch only when they run."""

from typing import Any

import typer

from icl_vectors.cli.apply import apply
from icl_vectors.cli.check import check
from icl_vectors.cli.experiments import command_of
from icl_vectors.cli.extract import extract
from icl_vectors.cli.help import HelpCommand
from icl_vectors.cli.models import models
from icl_vectors.cli.plan import plan
from icl_vectors.cli.report import report
from icl_vectors.cli.share import share
from icl_vectors.cli.tasks import tasks
from icl_vectors.discovery import experiment, experiment_names

OTHERS = (report, extract, apply, share, tasks, models, plan, check)


def register(app: typer.Typer) -> None:
    """Add every command to the application."""
    command: Any
    for command in (*map(command_of, map(experiment, experiment_names())), *OTHERS):
        app.command(no_args_is_help=False, cls=HelpCommand)(command)

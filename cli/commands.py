"""Which commands there are. Their modules import torch only when they run."""

import typer

from icl_vectors.cli.apply import apply
from icl_vectors.cli.check import check
from icl_vectors.cli.cluster import cluster
from icl_vectors.cli.compare import compare
from icl_vectors.cli.conflict import conflict
from icl_vectors.cli.extract import extract
from icl_vectors.cli.help import HelpCommand
from icl_vectors.cli.models import models
from icl_vectors.cli.plan import plan
from icl_vectors.cli.report import report
from icl_vectors.cli.reproduce import reproduce
from icl_vectors.cli.share import share
from icl_vectors.cli.sweep import sweep
from icl_vectors.cli.tasks import tasks
from icl_vectors.cli.vocabulary import vocabulary


def register(app: typer.Typer) -> None:
    """Add every command to the application."""
    for command in (
        sweep,
        conflict,
        cluster,
        vocabulary,
        compare,
        reproduce,
        report,
        extract,
        apply,
        share,
        tasks,
        models,
        plan,
        check,
    ):
        app.command(no_args_is_help=False, cls=HelpCommand)(command)

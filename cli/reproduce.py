"""`icl-vectors reproduce`: all of the paper on one or several models, then the report."""

from pathlib import Path

from icl_vectors.cli import options
from icl_vectors.cli.experiment import Experiment
from icl_vectors.cli.opening import AS_USUAL, Opening, opens_models
from icl_vectors.cli.sweep import choose_tasks, draw, parse_batch_size
from icl_vectors.cli.tables import reproduce_table
from icl_vectors.experiments.checks import check_counts
from icl_vectors.prompts import require_pairs


@opens_models
def reproduce(
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    tasks: options.Tasks = None,
    task_file: options.TaskFiles = None,
    strict_tasks: options.StrictTasks = False,
    shots: options.Shots = 5,
    dummies: options.Dummies = 2,
    test: options.Test = 50,
    dev: options.Dev = 50,
    seed: options.Seed = 41,
    template: options.TemplateText = "{input}→{output}",
    batch_size: options.BatchSize = "auto",
    opening: Opening = AS_USUAL,
    output: options.Output = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Sweep, cluster, conflict and vocabulary, then the report with a verdict on every claim.

    Example: icl-vectors reproduce --output runs/paper
    """
    chosen, size = choose_tasks(tasks, task_file, strict_tasks), parse_batch_size(batch_size)
    check_counts(shots=shots, dummies=dummies, test=test, dev=dev, batch_size=size)
    require_pairs(chosen, shots, dummies)
    opener = opening.opener(quiet or json)
    dtypes = opening.dtypes
    settings = {
        "tasks": chosen,
        "shots": shots,
        "dummies": dummies,
        "test": test,
        "dev": dev,
        "seed": seed,
        "template": template,
        "batch_size": size,
    }

    def run(opened: object, **given: object) -> None:
        from icl_vectors.experiments.reproduce import reproduce as run_all

        run_all(opened, **given)  # type: ignore[arg-type]

    experiment = Experiment("reproduce", model, dtypes, opener, output, json)
    folders = experiment.run(run, reproduce_table, settings)
    if len(folders) > 1:
        draw(folders, quiet or json, (output or Path("runs")) / "report.html")

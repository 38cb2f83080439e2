"""`icl-vectors cluster`: the map of vectors."""

from typing import Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.experiment import Experiment
from icl_vectors.cli.opening import AS_USUAL, Opening, opens_models
from icl_vectors.cli.sweep import choose_tasks, parse_batch_size
from icl_vectors.cli.tables import cluster_table
from icl_vectors.experiments.checks import check_counts
from icl_vectors.prompts import require_pairs


@opens_models
def cluster(
    tasks: options.Tasks = None,
    task_file: options.TaskFiles = None,
    strict_tasks: options.StrictTasks = False,
    layer: Annotated[
        str, typer.Option("--layer", help="A block, or best: of the sweep's mean curve.")
    ] = "best",
    per_task: Annotated[int, typer.Option("--per-task", help="θ a task.")] = 50,
    by_layer: Annotated[
        bool, typer.Option("--by-layer", help="Also the silhouette at every layer.")
    ] = False,
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    shots: options.Shots = 4,
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
    """Many θ a task: t-SNE and PCA, silhouette, distances, and each task's nearest task.

    Example: icl-vectors cluster --output runs/first --layer best
    """
    chosen, size = choose_tasks(tasks, task_file, strict_tasks), parse_batch_size(batch_size)
    check_counts(shots=shots, dummies=dummies, test=test, dev=dev, batch_size=size)
    check_counts(per_task=per_task)
    require_pairs(chosen, shots, dummies)
    opener = opening.opener(quiet or json)
    dtypes = opening.dtypes
    settings = {
        "tasks": chosen,
        "layer": layer,
        "per_task": per_task,
        "by_layer": by_layer,
        "shots": shots,
        "dummies": dummies,
        "test": test,
        "dev": dev,
        "seed": seed,
        "template": template,
        "batch_size": size,
    }

    def run(opened: object, **given: object) -> object:
        from icl_vectors.experiments.cluster import cluster as run_cluster

        return run_cluster(opened, **given)  # type: ignore[arg-type]

    Experiment("cluster", model, dtypes, opener, output, json).run(run, cluster_table, settings)

"""`icl-vectors compare`: every kind of task vector on the same prompts, beside its controls."""

from pathlib import Path
from typing import Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.experiment import Experiment
from icl_vectors.cli.opening import AS_USUAL, Opening, opens_models
from icl_vectors.cli.sweep import choose_tasks, parse_batch_size
from icl_vectors.cli.tables_of_compare import compare_table
from icl_vectors.experiments.checks import check_counts
from icl_vectors.prompts import require_pairs


@opens_models
def compare(
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            help="all, or of state, state-mean, state-mean-add, function, icv, state-vector, multi",
        ),
    ] = "all",
    controls: Annotated[
        str,
        typer.Option(
            "--controls", help="all, none, or of random, shuffled, other-task, task-mean."
        ),
    ] = "all",
    tasks: options.Tasks = None,
    task_file: options.TaskFiles = None,
    strict_tasks: options.StrictTasks = False,
    arrows: Annotated[
        str,
        typer.Option("--arrows", help="Also put vectors in under these arrows, such as '-> : ='."),
    ] = "",
    shots_curve: Annotated[
        str, typer.Option("--shots-curve", help="Also measure at these shots: 0,1,2,4,8,16.")
    ] = "",
    heads: Annotated[
        Path | None,
        typer.Option("--heads", help="heads.json of an earlier run, not to rank heads again."),
    ] = None,
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    shots: options.Shots = 5,
    dummies: options.Dummies = 2,
    test: options.Test = 50,
    dev: options.Dev = 50,
    layers: options.Layers = "all",
    seed: options.Seed = 41,
    template: options.TemplateText = "{input}→{output}",
    batch_size: options.BatchSize = "auto",
    opening: Opening = AS_USUAL,
    output: options.Output = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Kinds of task vectors on the same prompts, each beside its controls.

    Example: icl-vectors compare --tasks antonyms,to_upper --methods state,function,icv
    """
    chosen, size = choose_tasks(tasks, task_file, strict_tasks), parse_batch_size(batch_size)
    check_counts(dummies=dummies, test=test, dev=dev, batch_size=size)
    require_pairs(chosen, shots, dummies)
    from icl_vectors.experiments.compare_plan import parse_controls, parse_curve
    from icl_vectors.methods.registry import parse_methods

    parse_methods(methods)  # what can be refused is refused before a model is loaded
    parse_controls(controls)
    parse_curve(shots_curve)
    opener = opening.opener(quiet or json)
    dtypes = opening.dtypes
    settings = {
        "tasks": chosen,
        "methods": methods,
        "controls": controls,
        "arrows": arrows,
        "shots_curve": shots_curve,
        "heads": heads,
        "shots": shots,
        "dummies": dummies,
        "test": test,
        "dev": dev,
        "layers": layers,
        "seed": seed,
        "template": template,
        "batch_size": size,
    }

    def run(opened: object, **given: object) -> object:
        from icl_vectors.experiments.compare import compare as run_compare

        return run_compare(opened, **given)  # type: ignore[arg-type]

    Experiment("compare", model, dtypes, opener, output, json).run(run, compare_table, settings)

"""`icl-vectors vocabulary`: θ as words."""

from typing import Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.experiment import Experiment
from icl_vectors.cli.opening import AS_USUAL, Opening, opens_models
from icl_vectors.cli.sweep import choose_tasks
from icl_vectors.cli.tables import vocabulary_table
from icl_vectors.experiments.checks import check_counts


@opens_models
def vocabulary(
    tasks: options.Tasks = None,
    task_file: options.TaskFiles = None,
    strict_tasks: options.StrictTasks = False,
    layer: Annotated[
        int | None, typer.Option("--layer", help="A block; by default each task's best + 2, best.")
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Tokens shown.")] = 20,
    raw: Annotated[bool, typer.Option("--raw", help="All tokens, not only words.")] = False,
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    test: options.Test = 50,
    dev: options.Dev = 50,
    seed: options.Seed = 41,
    template: options.TemplateText = "{input}→{output}",
    opening: Opening = AS_USUAL,
    output: options.Output = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The top tokens of each task's θ, through the model's final norm and unembedding.

    Example: icl-vectors vocabulary --tasks country_capital --output runs/first
    """
    chosen = choose_tasks(tasks, task_file, strict_tasks)
    check_counts(top=top, test=test, dev=dev)
    opener = opening.opener(quiet or json)
    dtypes = opening.dtypes
    settings = {
        "tasks": chosen,
        "layer": layer,
        "top": top,
        "raw": raw,
        "test": test,
        "dev": dev,
        "seed": seed,
        "template": template,
    }

    def run(opened: object, **given: object) -> object:
        from icl_vectors.experiments.vocabulary import vocabulary as run_vocabulary

        return run_vocabulary(opened, **given)  # type: ignore[arg-type]

    experiment = Experiment("vocabulary", model, dtypes, opener, output, json)
    experiment.run(run, vocabulary_table, settings)

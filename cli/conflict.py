"""`icl-vectors conflict`: demonstrations of A in the prompt, θ of B put in."""

from typing import Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.experiment import Experiment
from icl_vectors.cli.opening import AS_USUAL, Opening, opens_models
from icl_vectors.cli.sweep import parse_batch_size
from icl_vectors.cli.tables import conflict_table
from icl_vectors.experiments.checks import PAPER_PAIRS, check_counts, parse_pairs


@opens_models
def conflict(
    pairs: Annotated[str, typer.Option("--pairs", help="A:B,… of task names.")] = PAPER_PAIRS,
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
    """Demonstrations of task A, θ of task B: which one does the model follow?

    The layer is B's best on dev, from the folder's sweep, which is run where there is none.

    Example: icl-vectors conflict --pairs next_letter:to_upper --output runs/first
    """
    parse_pairs(pairs)
    size = parse_batch_size(batch_size)
    check_counts(shots=shots, dummies=dummies, test=test, dev=dev, batch_size=size)
    opener = opening.opener(quiet or json)
    dtypes = opening.dtypes
    settings = {
        "pairs": pairs,
        "shots": shots,
        "dummies": dummies,
        "test": test,
        "dev": dev,
        "seed": seed,
        "template": template,
        "batch_size": size,
    }

    def run(opened: object, **given: object) -> object:
        from icl_vectors.experiments.conflict import conflict as run_conflict

        return run_conflict(opened, **given)  # type: ignore[arg-type]

    Experiment("conflict", model, dtypes, opener, output, json).run(run, conflict_table, settings)

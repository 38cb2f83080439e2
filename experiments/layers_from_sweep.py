"""The best layer of each task: from the folder's own sweep, which is run where there is none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.sweep import sweep
from icl_vectors.models import Model
from icl_vectors.run_folder import read_json
from icl_vectors.scoring import mean
from icl_vectors.tasks import Task


def swept_entries(
    model: Model,
    tasks: Sequence[Task],
    output: Path,
    *,
    seed: int,
    template: str,
    test: int,
    dev: int,
    observer: Observer,
    provenance: Mapping[str, Any] | None,
) -> dict[str, dict[str, Any]]:
    """The sweep's entry of each task, by name.

    Raises:
        IclVectorsError: the folder's sweep lacks one of the tasks.
    """
    if not _has_sweep(output):
        observer.notice(f"No sweep in {output}: sweeping first, to choose the layer on dev.")
        sweep(
            model,
            list(tasks),
            output=output,
            seeds=(seed,),
            template=template,
            test=test,
            dev=dev,
            observer=observer,
            provenance=provenance,
        )
    found = read_json(output / "results.json")
    if found.get("model") != model.reference or found.get("dtype") != model.dtype:
        raise IclVectorsError(
            f"--output {output}: holds a run of {found.get('model')} in {found.get('dtype')}, "
            f"found {model.reference} in {model.dtype}; choose another folder."
        )
    entries = {entry["task"]: entry for entry in found["tasks"] if entry["seed"] == seed}
    if missing := [task.name for task in tasks if task.name not in entries]:
        raise IclVectorsError(
            f"--output {output}: its sweep lacks {', '.join(missing)} (seed {seed}); "
            "finish that sweep, or choose another folder."
        )
    return {task.name: entries[task.name] for task in tasks}


def best_layer_of_mean(entries: Mapping[str, Mapping[str, Any]]) -> int:
    """The layer with the highest accuracy on dev, averaged over tasks; ties to the lowest."""
    curves = [entry["dev_accuracy_by_layer"] for entry in entries.values()]
    means = [
        -1.0 if None in column else mean(column)  # a layer that was not swept
        for column in zip(*curves, strict=True)
    ]
    return means.index(max(means))


def _has_sweep(output: Path) -> bool:
    run = output / "run.json"
    return run.is_file() and "sweep" in read_json(run).get("experiments", {})

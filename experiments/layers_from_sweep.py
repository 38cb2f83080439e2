"""The best layer of each task: from the folder's own sweep, which is run where there is none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.sweep import sweep
from icl_vectors.models import Model
from icl_vectors.recovery import read_configuration
from icl_vectors.run_folder import read_records, read_results
from icl_vectors.run_shapes import require_entries
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
        IclVectorsError: the folder holds another sweep, or one that can't run a task.
    """
    entries = _read_entries(model, output, seed)
    if any(task.name not in entries for task in tasks):
        observer.notice(f"Sweeping in {output} first, to choose the layer on dev.")
        settings: dict[str, Any] = {"seeds": (seed,), "template": template}
        settings |= {"test": test, "dev": dev, "observer": observer, "provenance": provenance}
        sweep(model, list(tasks), output=output, **settings)
        entries = _read_entries(model, output, seed)
    if missing := [task.name for task in tasks if task.name not in entries]:
        raise IclVectorsError(
            f"--output {output}: its sweep could not run {', '.join(missing)} (seed {seed}); "
            "leave them out, or choose another folder."
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


def _read_entries(model: Model, output: Path, seed: int) -> dict[str, dict[str, Any]]:
    """What the folder's sweep has finished, by task; empty where there is no sweep."""
    found = read_results(output)
    if "tasks" not in found:  # of another experiment, or none
        return {}
    run = read_configuration(output) or {}
    held = run.get("model", {}).get("fingerprint")
    if (held, found.get("dtype")) != (model.fingerprint, model.dtype):
        raise IclVectorsError(
            f"--output {output}: holds a run of {found.get('model')} in {found.get('dtype')}, "
            f"found {model.reference} in {model.dtype}; choose another folder."
        )
    since = [
        record["result"]
        for record in read_records(output)
        if record["event"] == "done" and record["experiment"] == "sweep"
    ]  # by a run that was killed before it wrote its results
    entries = [
        *require_entries(output / "records.jsonl", {"tasks": since}),
        *require_entries(output / "results.json", found),
    ]
    return {entry["task"]: entry for entry in entries if entry["seed"] == seed}

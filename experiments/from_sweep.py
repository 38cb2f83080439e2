"""The best layer of each task: from the folder's own sweep, which is run where there is none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_vectors.engine.config import DEMONSTRATIONS, Config
from icl_vectors.engine.experiment import Surroundings
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.sweep import Sweep, SweepConfig
from icl_vectors.runs.folder import read_records, read_results
from icl_vectors.runs.recovery import read_configuration
from icl_vectors.runs.validation import require_entries
from icl_vectors.scoring import mean
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.models.model import Model


def swept_entries(
    model: "Model",
    config: Config,
    tasks: Sequence[Task],
    at: Surroundings,
    source: str | None = DEMONSTRATIONS,
) -> dict[str, dict[str, Any]]:
    """The sweep's entry of each task, by name.

    Args:
        source: what the sweep must have read θ after; None: whatever the folder's sweep did.

    Raises:
        IclVectorsError: the folder holds another sweep, or one that can't run a task.
    """
    _require_source(at.path, source)
    entries = _read_entries(model, at.path, config.seed)
    if any(task.name not in entries for task in tasks):
        at.observer.log(f"Sweeping in {at.path} first, to choose the layer on dev.")
        names = ("test", "dev", "template", "chat", "unbalanced")
        shared = {name: getattr(config, name) for name in names if hasattr(config, name)}
        shared |= {"tasks": tuple(tasks), "seeds": (config.seed,)}
        asked = SweepConfig(theta_source=source or DEMONSTRATIONS, **shared)
        Sweep.run(model, asked, output=at.path, observer=at.observer, provenance=at.provenance)
        entries = _read_entries(model, at.path, config.seed)
    if missing := [task.name for task in tasks if task.name not in entries]:
        raise IclVectorsError(
            f"--output {at.path}: its sweep could not run {', '.join(missing)} (seed "
            f"{config.seed}); leave them out, or choose another folder."
        )
    return {task.name: entries[task.name] for task in tasks}


def _require_source(folder: Path, source: str | None) -> None:
    """Refuse the best blocks of a sweep whose θ were read after something else."""
    run = read_configuration(folder) or {}
    sweep = run.get("experiments", {}).get("sweep")
    if sweep is None or source is None:
        return
    found = sweep.get("configuration", {}).get("theta_source") or DEMONSTRATIONS
    if found != source:
        raise IclVectorsError(
            f"--output {folder}: expected a sweep whose θ are read after {source}, as its best "
            f"blocks are used here, found one after {found}; choose another folder."
        )


def best_layer_of_mean(entries: Mapping[str, Mapping[str, Any]]) -> int:
    """The layer with the highest accuracy on dev, averaged over tasks; ties to the lowest."""
    curves = [entry["dev_accuracy_by_layer"] for entry in entries.values()]
    means = [
        -1.0 if None in column else mean(column)  # a layer that was not swept
        for column in zip(*curves, strict=True)
    ]
    return means.index(max(means))


def _read_entries(model: "Model", folder: Path, seed: int) -> dict[str, dict[str, Any]]:
    """What the folder's sweep has finished, by task; empty where there is no sweep."""
    found = read_results(folder)
    if "tasks" not in found:  # of another experiment, or none
        return {}
    run = read_configuration(folder) or {}
    held = run.get("model", {}).get("fingerprint")
    if (held, found.get("dtype")) != (model.fingerprint, model.dtype):
        raise IclVectorsError(
            f"--output {folder}: holds a run of {found.get('model')} in {found.get('dtype')}, "
            f"found {model.reference} in {model.dtype}; choose another folder."
        )
    since = [
        record["result"]
        for record in read_records(folder)
        if record["event"] == "done" and record["experiment"] == "sweep"
    ]  # by a run that was killed before it wrote its results
    entries = [
        *require_entries(folder / "records.jsonl", {"tasks": since}),
        *require_entries(folder / "results.json", found),
    ]
    return {entry["task"]: entry for entry in entries if entry["seed"] == seed}

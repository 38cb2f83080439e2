"""All of the paper on one model, in one folder: sweep, cluster, conflict, vocabulary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icl_vectors.experiments.checks import PAPER_PAIRS, gather_tasks
from icl_vectors.experiments.cluster import cluster
from icl_vectors.experiments.conflict import conflict
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.sweep import sweep
from icl_vectors.experiments.vocabulary import vocabulary
from icl_vectors.notebook import default_observer
from icl_vectors.tasks import Task
from icl_vectors.turns import takes_turns

SHOTS_OF_MAPS = 4  # in the paper's t-SNE and conflict experiments


@takes_turns
def reproduce(
    model: Any,
    tasks: str | Sequence[str | Task] = "all",
    *,
    output: str | Path,
    shots: int = 5,
    dummies: int = 2,
    test: int = 50,
    dev: int = 50,
    seed: int = 41,
    template: str = "{input}→{output}",
    batch_size: int | None = None,
    observer: Observer | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Run every experiment of the paper; each is resumed where it was left.

    Conflicts are run for those of the paper's pairs whose tasks are among `tasks`.

    Raises:
        IclVectorsError, RunError: as the experiments do.
    """
    observer = observer or default_observer()
    chosen = gather_tasks(tasks)
    shared: dict[str, Any] = {"output": output, "seed": seed, "template": template}
    shared |= {"test": test, "dev": dev, "observer": observer, "provenance": provenance}
    counts: dict[str, Any] = {"dummies": dummies, "batch_size": batch_size}
    seeds = {key: value for key, value in shared.items() if key != "seed"} | {"seeds": (seed,)}
    observer.notice("1/4 sweep")
    sweep(model, chosen, shots=shots, **counts, **seeds)
    if len(chosen) > 1:
        observer.notice("2/4 cluster")
        cluster(model, chosen, shots=SHOTS_OF_MAPS, by_layer=True, **counts, **shared)
    names = {task.name for task in chosen}
    pairs = [pair for pair in PAPER_PAIRS.split(",") if set(pair.split(":")) <= names]
    if pairs:
        observer.notice("3/4 conflict")
        conflict(model, ",".join(pairs), shots=SHOTS_OF_MAPS, **counts, **shared)
    observer.notice("4/4 vocabulary")
    vocabulary(model, chosen, **shared)

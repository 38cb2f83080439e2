"""All of the paper on one model, in one folder: sweep, cluster, conflict, vocabulary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_vectors.engine.config import ALL_TASKS, PromptsConfig, Tasks, asked
from icl_vectors.engine.experiment import Experiment, in_python, place
from icl_vectors.engine.results import Results
from icl_vectors.experiments.cluster import Cluster
from icl_vectors.experiments.conflict import Conflict
from icl_vectors.experiments.sweep import Sweep
from icl_vectors.experiments.vocabulary import Vocabulary
from icl_vectors.notebook import default_observer
from icl_vectors.observer import Observer
from icl_vectors.tasks.choose import PAPER_PAIRS


class ReproduceConfig(PromptsConfig):
    """What `reproduce` is asked for."""

    tasks: Tasks = asked("all", ALL_TASKS)


class Reproduce(Sweep):
    """All of the paper, then the report with its verdicts.

    Sweep, cluster, conflict and vocabulary, with a verdict on every claim.

    Conflicts are run for those of the paper's pairs whose tasks are among `tasks`.

    Example: icl-vectors reproduce --output runs/paper
    """

    name = "reproduce"
    Config = ReproduceConfig  # type: ignore[assignment] # its fields are a sweep's, but fewer

    @classmethod
    def run(
        cls,
        model: Any,
        config: Any,
        *,
        output: str | Path | None = None,
        observer: Observer | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Results:
        """Run every experiment of the paper; each is resumed where it was left.

        Raises:
            IclVectorsError, RunError: as the experiments do.
        """
        observer = observer or default_observer()
        of_all = ("test", "dev", "seed", "template", "chat")
        shared = {name: getattr(config, name) for name in of_all}
        own: dict[str, Any] = {"dummies": config.dummies, "batch_size": config.batch_size}
        names = {task.name for task in config.tasks}
        pairs = [pair for pair in PAPER_PAIRS.split(",") if set(pair.split(":")) <= names]
        parts: list[tuple[type[Experiment], dict[str, Any]]] = [
            (Sweep, {"tasks": config.tasks, "shots": config.shots, **own})
        ]
        if len(names) > 1:
            parts.append((Cluster, {"tasks": config.tasks, "by_layer": True, **own}))
        if pairs:
            parts.append((Conflict, {"pairs": ",".join(pairs), **own}))
        parts.append((Vocabulary, {"tasks": config.tasks}))
        failures: Mapping[Any, str] = {}
        with place(output) as path:
            for number, (kind, options) in enumerate(parts, 1):
                observer.notice(f"{number}/{len(parts)} {kind.name}")
                found = kind.run(
                    model,
                    kind.Config(**shared, **options),
                    output=path,
                    observer=observer,
                    provenance=provenance,
                )
                failures = found.failures if kind is Sweep else failures
            return Results.of_run(cls, found.data, path, output is not None, failures)


reproduce = in_python(Reproduce)
"""`reproduce(model, …)` runs all; its options are the fields of `ReproduceConfig`."""

"""All of the paper on one model, in one folder: sweep, cluster, conflict, vocabulary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_vectors.engine.config import ALL_TASKS, PromptsConfig, Seeds, Tasks, asked
from icl_vectors.engine.experiment import Experiment, in_python, place
from icl_vectors.engine.results import Results, Vectors
from icl_vectors.experiments.cluster import Cluster
from icl_vectors.experiments.conflict import Conflict
from icl_vectors.experiments.summary import summary
from icl_vectors.experiments.sweep import Sweep
from icl_vectors.experiments.vocabulary import Vocabulary
from icl_vectors.notebook import default_observer
from icl_vectors.observer import Observer
from icl_vectors.runs.folder import Unit, vector_file
from icl_vectors.tasks.choose import PAPER_PAIRS


class ReproduceConfig(PromptsConfig):
    """What `reproduce` is asked for."""

    tasks: Tasks = asked("all", ALL_TASKS)
    seeds: Seeds = asked(None, "Several seeds: 41,42,…; a folder each, one report.")


class Reproduce(Sweep):
    """All of the paper, then the report with its verdicts.

    Sweep, cluster, conflict and vocabulary, with a verdict on every claim.

    Conflicts are run for those of the paper's pairs whose tasks are among `tasks`. With several
    seeds each is a run of its own, in the folder seedN, and the report gives every claim over all.

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
        around: dict[str, Any] = {"observer": observer, "provenance": provenance}
        with place(output) as path:
            if config.seeds is None:
                data, failures = _run(model, config, path, **around)
                return Results.of_run(cls, data, path, output is not None, failures)
            entries, failures = [], {}
            for number, seed in enumerate(config.seeds, 1):
                observer.log(f"Seed {seed} ({number}/{len(config.seeds)})")
                one = config.model_copy(update={"seed": seed, "seeds": None})
                data, failed = _run(model, one, path / f"seed{seed}", **around)
                entries += data["tasks"]
                failures |= failed
            about = {key: data[key] for key in ("schema", "model", "dtype", "n_layers")}
            data = {**about, "tasks": entries, "summary": summary(entries)}
            units = [(entry["task"], entry["seed"]) for entry in entries]
            vectors = Vectors({unit: vector_file(path / f"seed{unit[1]}", *unit) for unit in units})
            if output is None:
                return Results(cls, data, None, failures, vectors.read())
            return Results(cls, data, path, failures, vectors)


def _run(
    model: Any, config: Any, path: Path, **around: Any
) -> tuple[dict[str, Any], dict[Unit, str]]:
    """Every experiment with one seed; returns results.json and the units that could not be run."""
    observer: Observer = around["observer"]
    shared, own = (
        {name: getattr(config, name) for name in names}
        for names in (
            ("test", "dev", "seed", "template", "chat"),
            ("dummies", "batch_size", "unbalanced"),
        )
    )
    names = {task.name for task in config.tasks}
    pairs = [pair for pair in PAPER_PAIRS.split(",") if set(pair.split(":")) <= names]
    parts: list[tuple[type[Experiment], dict[str, Any]]] = [
        (Sweep, {"tasks": config.tasks, "shots": config.shots, **own})
    ]
    if len(names) > 1:
        parts.append((Cluster, {"tasks": config.tasks, "by_layer": True, **own}))
    if pairs:
        parts.append((Conflict, {"pairs": ",".join(pairs), **own}))
    else:
        observer.log("conflict is left out: --tasks has none of the paper's pairs")
    parts.append((Vocabulary, {"tasks": config.tasks}))
    failures: dict[Unit, str] = {}
    for number, (kind, options) in enumerate(parts, 1):
        observer.log(f"{number}/{len(parts)} {kind.name}")
        found = kind.run(model, kind.Config(**shared, **options), output=path, **around)
        failures |= found.failures
    return found.data, failures


reproduce = in_python(Reproduce)
"""`reproduce(model, …)` runs all; its options are the fields of `ReproduceConfig`."""

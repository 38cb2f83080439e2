"""The map of vectors: many θ per task, where they lie, and which tasks are near each other."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from icl_vectors.engine.config import (
    ALL_TASKS,
    BOTH,
    DEMONSTRATIONS,
    INSTRUCTION,
    Flag,
    NotNegative,
    PromptsConfig,
    Tasks,
    TwoOrMore,
    asked,
    instructed,
    one_of,
    typed_number,
)
from icl_vectors.engine.experiment import Experiment, Outcome, in_python
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.from_sweep import best_layer_of_mean, swept_entries
from icl_vectors.layers import parse_layer
from icl_vectors.runs.files import write_whole
from icl_vectors.runs.folder import Unit
from icl_vectors.runs.validation import damaged, read_tensor
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from icl_vectors.engine.context import Context


def _layer(value: Any) -> str | int:
    found = "best" if value == "best" else typed_number(value)
    if found is None:
        raise IclVectorsError(f"--layer {value!r}: expected best, or a whole number.")
    return found


class ClusterConfig(PromptsConfig):
    """What `cluster` is asked for."""

    of_sweep = frozenset({"test", "dev"})

    tasks: Tasks = asked("all", ALL_TASKS)
    layer: Annotated[str | int, BeforeValidator(_layer)] = asked(
        "best", "A block, or best: of the sweep's mean curve."
    )
    per_task: TwoOrMore = asked(50, "θ per task.")
    by_layer: Flag = asked(False, "Also the silhouette at every layer.")
    shots: NotNegative = asked(4, "Demonstrations in a prompt.")
    theta_source: Annotated[str, one_of(DEMONSTRATIONS, INSTRUCTION, BOTH)] = asked(
        DEMONSTRATIONS, "θ after demonstrations, instruction, or both (compared by cosine)"
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """What stands before the arrow where θ is read; the first one's θ are described."""
        found = (DEMONSTRATIONS, INSTRUCTION)
        return found if self.theta_source == BOTH else (self.theta_source,)


class Cluster(Experiment):
    """The map of vectors: clusters, distances, nearest tasks.

    Many θ per task: t-SNE and PCA, silhouette, distances, and each task's nearest task.

    Do the θ of one task lie together, and apart from those of others (paper, section 4.1)? The
    points of the maps are in `cluster.csv`. With --theta-source both, also how near θ after an
    instruction is to θ after demonstrations.

    Example: icl-vectors cluster --output runs/first --layer best
    """

    name = "cluster"
    Config = ClusterConfig
    config: ClusterConfig
    whole = True

    def __init__(self, model: Any, config: ClusterConfig, at: Any) -> None:
        super().__init__(model, config, at)
        if len(config.tasks) < 2:
            raise IclVectorsError("cluster: expected two tasks or more, found one.")
        if config.layer == "best":
            entries = swept_entries(model, config, config.tasks, at, config.sources[0])
            self.layer = best_layer_of_mean(entries)
        else:
            self.layer = parse_layer(int(config.layer), model.n_layers)
        self.named = {
            _name(task, source): (task, source)
            for source in config.sources
            for task in config.tasks
        }

    def configuration(self) -> dict[str, Any]:
        return self.config.recorded(layer=self.layer)

    def units(self) -> list[Unit]:
        return [(name, self.config.seed) for name in self.named]

    def measure(self, unit: Unit, context: "Context") -> Outcome:
        """Many θ of one task, in one session."""
        from safetensors.torch import save

        from icl_vectors.graph.experiments import run_many_thetas
        from icl_vectors.prompts.batches import make_batches

        config, model = self.config, self.model
        task, source = self.named[unit[0]]
        drawn = config.drawn(task, dev=0, test=config.per_task)[1]
        encoded = context.encode(drawn if source == DEMONSTRATIONS else instructed(task, drawn))

        def run(size: int) -> "Tensor":
            batches = make_batches(encoded, size, model.way, with_query=False)
            progress, job = context.progress(θ=len(encoded)), context.job(f"batch {size}")
            at = None if config.by_layer else self.layer
            return run_many_thetas(model, batches, at, progress, job)

        thetas = context.run(run, encoded)  # (prompt, layer, hidden)
        context.require_finite(thetas.isfinite().all(), "states")
        path = self._path(task, source)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, save({"thetas": thetas.contiguous()}))
        return Outcome({"task": unit[0], "seconds": context.seconds}, files=[path])

    def summarise(self, done: Mapping[Unit, Mapping[str, Any]]) -> dict[str, Any]:
        import numpy as np
        import torch

        from icl_vectors.experiments.geometry import (
            compare_sources,
            describe_clusters,
            embed,
            silhouette,
        )

        tasks, by_layer, sources = self.config.tasks, self.config.by_layer, self.config.sources
        self.at.observer.log("Silhouette, distances, t-SNE and PCA …")
        of_sources = [torch.stack([self._read(task, one) for task in tasks]) for one in sources]
        thetas = of_sources[0]  # (task, prompt, layer, hidden)
        labels = np.repeat(np.arange(len(tasks)), thetas.shape[1])  # (point,)
        at = self.layer if by_layer else 0
        every = [one[:, :, at].flatten(0, 1).numpy() for one in of_sources]
        points = every[0]  # (point, hidden)
        names = [task.name for task in tasks]
        found = {
            "layer": self.layer,
            "per_task": thetas.shape[1],
            "tasks": names,
            **describe_clusters(points, labels, names),
        }
        if by_layer:
            found["silhouette_by_layer"] = {
                str(each): silhouette(thetas[:, :, each].flatten(0, 1).numpy(), labels)
                for each in range(thetas.shape[2])
            }
        if len(sources) > 1:
            one, other = (part.mean(1).numpy() for part in of_sources)  # (task, layer, hidden) each
            held = range(thetas.shape[2]) if by_layer else [self.layer]
            found["sources"] = compare_sources(one, other, names, list(held), at)
        placed = embed(np.concatenate(every), self.config.seed)
        _write_points(self.folder.path / "cluster.csv", placed, tasks, sources)
        return {"cluster": found}

    @staticmethod
    def line(result: Mapping[str, Any]) -> str:
        return f"{result['task']}: its θ in {result['seconds']:.1f} s"

    @staticmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        found = data["cluster"]
        for row, task in enumerate(found["tasks"]):
            about = {"task": task, "layer": found["layer"], "n": found["per_task"]}
            for column, other in enumerate(found["tasks"]):
                distance = found["distances"][row][column]
                nearest = found["nearest"][task] == other
                yield {**about, "other": other, "distance": distance, "nearest": nearest}

    def _path(self, task: Task, source: str) -> Path:
        name = _name(task, source).replace(":", ".")
        return self.folder.path / "thetas" / f"{name}.seed{self.config.seed}.safetensors"

    def _read(self, task: Task, source: str) -> "Float[Tensor, 'prompt layer hidden']":
        """θ of one task, as `measure` wrote them; refuses a file that holds something else."""
        path, expected = self._path(task, source), (self.config.per_task, self.model.hidden)
        thetas = read_tensor(path, "thetas")
        if thetas.ndim != 3 or (len(thetas), thetas.shape[-1]) != expected:
            raise damaged(path, f"{expected[0]} θ of width {expected[1]}")
        return thetas


def _name(task: Task, source: str) -> str:
    """A unit's name: the task's, and the source where it is not the usual one."""
    return task.name if source == DEMONSTRATIONS else f"{task.name}:{source}"


def _write_points(
    path: Path, points: dict[str, Any], tasks: Sequence[Task], sources: Sequence[str]
) -> None:
    import pandas

    per_task = len(points["tsne"]) // (len(tasks) * len(sources))
    about = ((task.name, task.category) for _ in sources for task in tasks)
    drawn = [(*one, index) for one in about for index in range(per_task)]
    frame = pandas.DataFrame(drawn, columns=["task", "category", "index"])
    for kind in ("tsne", "pca"):
        frame[[f"{kind}_x", f"{kind}_y"]] = points[kind]
    if len(sources) > 1:
        frame["source"] = [one for one in sources for _ in range(per_task * len(tasks))]
    content = frame.to_csv(index=False, lineterminator="\n", float_format="%.4f")
    write_whole(path, content.encode())


cluster = in_python(Cluster)
"""`cluster(model, …)` runs the experiment; its options are the fields of `ClusterConfig`."""

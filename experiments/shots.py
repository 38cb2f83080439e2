"""Accuracy against the number of demonstrations: does θ need fewer than in-context learning?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from icl_vectors.engine.config import (
    ALL_TASKS,
    CANDIDATES,
    UNBALANCED,
    BatchSize,
    Config,
    Flag,
    Layers,
    Positive,
    Tasks,
    asked,
)
from icl_vectors.engine.experiment import Experiment, Outcome, in_python
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.compare.config import Curve
from icl_vectors.experiments.measures import COMPARISON, METHODS, samples_of, unit_result
from icl_vectors.experiments.swept import swept
from icl_vectors.layers import parse_layers
from icl_vectors.plain_text import in_one_line
from icl_vectors.prompts.sampling import Prompt, require_pairs
from icl_vectors.runs.folder import Unit
from icl_vectors.runs.schema import Count, Estimate, Model, Text
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context

KEPT = ("task", "category", "seed", *METHODS, "best_layer", "dev_accuracy_by_layer")


class ShotsConfig(Config):
    """What `shots` is asked for."""

    tasks: Tasks = asked("all", ALL_TASKS)
    shots: Curve = asked("0,1,2,4,8,16", "Numbers of demonstrations: 0,1,2,…")
    layers: Layers = asked("all", CANDIDATES)
    dummies: Positive = asked(2, "Dummy queries that θ is averaged over.")
    batch_size: BatchSize = asked("auto", "Prompts at once; auto: from free memory.")
    unbalanced: Flag = asked(False, UNBALANCED)

    @model_validator(mode="after")
    def _require_pairs(self) -> Self:
        if not self.shots:
            raise IclVectorsError("--shots: expected numbers of demonstrations, found none.")
        require_pairs(self.tasks, max(self.shots), self.dummies)
        return self

    @property
    def units(self) -> list[Unit]:
        """Each task with each number of demonstrations, as "TASK:N"."""
        return [(f"{task.name}:{n}", self.seed) for task in self.tasks for n in self.shots]

    def task(self, unit: Unit) -> tuple[Task, int]:
        """The task of a unit and its number of demonstrations."""
        name, _, n = unit[0].rpartition(":")
        return next(task for task in self.tasks if task.name == name), int(n)

    def prompts(self, unit: Unit) -> tuple[list[Prompt], list[Prompt]]:
        """Dev and test prompts of a unit; the queries are the same for every number."""
        task, n = self.task(unit)
        drawn = self.drawn(task, seed=unit[1], shots=n)
        dev, test = ([replace(one, id=f"{one.id}-shots{n}") for one in part] for part in drawn)
        return dev, test


class ShotsResult(Model):
    """An entry of `shots`: one task with one number of demonstrations."""

    task: Text
    category: Text
    seed: int
    shots: Count
    n: Count
    baseline: Estimate
    hypothesis: Estimate
    regular: Estimate
    best_layer: Count


class Shots(Experiment):
    """Accuracy by number of demonstrations: does θ need fewer?

    Accuracy of baseline, hypothesis and regular at 0 to 16 demonstrations; the layer is chosen
    again for each number, on dev. At 0, θ is the state at the arrow of a dummy query alone, and
    regular is the baseline.

    Example: icl-vectors shots --tasks country_capital,antonyms --shots 0,1,2,4,8,16
    """

    name = "shots"
    Config = ShotsConfig
    Result = ShotsResult
    config: ShotsConfig

    def __init__(self, model: Any, config: ShotsConfig, at: Any) -> None:
        super().__init__(model, config, at)
        self.layers = parse_layers(config.layers, model.n_layers)

    def configuration(self) -> dict[str, Any]:
        return self.config.recorded(layers=list(self.layers), comparison=COMPARISON)

    def units(self) -> list[Unit]:
        return self.config.units

    def measure(self, unit: Unit, context: "Context") -> Outcome:
        task, n = self.config.task(unit)
        prompts = self.config.prompts(unit)
        dev, test = map(context.encode, prompts)
        found = swept(context, dev, test, self.layers)
        entry = unit_result(task, unit[1], dev, test, self.layers, self.model.n_layers, found)
        result = {**{key: entry[key] for key in KEPT}, "shots": n, "n": len(test)}
        samples = samples_of(self.model.tokenizer, dev, test, self.layers, found)
        lines = [{**sample, "unit": unit[0]} for sample in samples]
        return Outcome(result, [*prompts[0], *prompts[1]], lines)

    @staticmethod
    def line(result: Mapping[str, Any]) -> str:
        cells = "  ".join(f"{method} {result[method]['accuracy']:.2f}" for method in METHODS)
        name = in_one_line(result["task"])
        return f"{name:<27}{result['shots']:>3} shots  {cells}  layer {result['best_layer']:>2}"

    @staticmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for entry in data["shots"]:
            about = {key: entry[key] for key in ("task", "category", "seed", "shots", "n")}
            for method in METHODS:
                layer = entry["best_layer"] if method == "hypothesis" else None
                yield {**about, "method": method, "layer": layer, **entry[method]}


shots = in_python(Shots)
"""`shots(model, …)` runs the experiment; its options are the fields of `ShotsConfig`."""

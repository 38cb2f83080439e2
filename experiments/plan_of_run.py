"""What a sweep will run: tasks, seeds, prompts and layers, checked before anything is computed."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from icl_vectors.experiments.checks import (
    check_answer,
    check_choice,
    check_counts,
    check_seeds,
    gather_tasks,
)
from icl_vectors.experiments.measures import COMPARISON
from icl_vectors.experiments.written import COMPARISON_OF_WRITTEN
from icl_vectors.layers import parse_layers
from icl_vectors.models import Model
from icl_vectors.prompts import Prompt, require_pairs, sample_prompts
from icl_vectors.run_folder import RunFolder, Unit
from icl_vectors.tasks import Task
from icl_vectors.templates import Template, load_template
from icl_vectors.version import VERSION


@dataclass(frozen=True)
class SweepPlan:
    """The configuration of a sweep: everything that decides its results but the model."""

    tasks: tuple[Task, ...]
    shots: int
    dummies: int
    dev: int
    test: int
    layers: tuple[int, ...]
    seeds: tuple[int, ...]
    template: Template
    batch_size: int | None
    answer: str = "first-token"
    choose_layer: str = "accuracy"

    @classmethod
    def make(
        cls,
        n_layers: int,
        tasks: str | Iterable[str | Task],
        shots: int,
        dummies: int,
        dev: int,
        test: int,
        layers: str | Iterable[int],
        seeds: Iterable[int],
        template: str,
        batch_size: int | None,
        answer: str = "first-token",
        choose_layer: str = "accuracy",
    ) -> "SweepPlan":
        """A plan that can be run.

        Raises:
            IclVectorsError: a count is too small, a task too short, a layer out of range.
        """
        check_answer(answer)
        check_choice(choose_layer)
        check_counts(shots=shots, dummies=dummies, dev=dev, test=test, batch_size=batch_size)
        plan = cls(
            tasks=gather_tasks(tasks),
            shots=shots,
            dummies=dummies,
            dev=dev,
            test=test,
            layers=parse_layers(layers, n_layers),
            seeds=check_seeds(seeds),
            template=load_template(template),
            batch_size=batch_size,
            answer=answer,
            choose_layer=choose_layer,
        )
        require_pairs(plan.tasks, shots, dummies)
        return plan

    @property
    def writes_answers(self) -> bool:
        """Whether whole answers are written and compared, not only their first tokens."""
        return self.answer == "generate"

    @property
    def units(self) -> list[Unit]:
        return [(task.name, seed) for task in self.tasks for seed in self.seeds]

    def task(self, unit: Unit) -> Task:
        return next(task for task in self.tasks if task.name == unit[0])

    def prompts(self, unit: Unit) -> tuple[list[Prompt], list[Prompt]]:
        """Dev and test prompts of one unit."""
        return sample_prompts(
            self.task(unit),
            seed=unit[1],
            dev=self.dev,
            test=self.test,
            shots=self.shots,
            dummies=self.dummies,
        )

    def configuration(self) -> dict[str, Any]:
        """What decides the results, as it stands in run.json."""
        by_accuracy = self.choose_layer == "accuracy"
        return {
            "tasks": {task.name: task.fingerprint for task in self.tasks},
            "seeds": list(self.seeds),
            "shots": self.shots,
            "dummies": self.dummies,
            "dev": self.dev,
            "test": self.test,
            "layers": list(self.layers),
            "answer": self.answer,
            "choose_layer": None if by_accuracy else self.choose_layer,  # as in older folders
            "comparison": COMPARISON_OF_WRITTEN if self.writes_answers else COMPARISON,
        }

    def open_folder(
        self, output: str | Path, model: Model, provenance: Mapping[str, Any] | None
    ) -> RunFolder:
        """The run's folder, if it is new or holds a run of the same configuration."""
        configuration = self.configuration()
        return open_folder(output, "sweep", model, self.template, configuration, provenance)


def open_folder(
    output: str | Path,
    experiment: str,
    model: Model,
    template: Template,
    configuration: Mapping[str, Any],
    provenance: Mapping[str, Any] | None,
) -> RunFolder:
    """The folder of an experiment, if it is new or holds one of the same configuration."""
    return RunFolder(
        output,
        experiment,
        identity=identity_of(model, template),
        configuration=configuration,
        provenance={**provenance_of(model), **(provenance or {})},
    )


def identity_of(model: Model, template: Template) -> dict[str, Any]:
    """What all experiments of a folder share."""
    return {
        "model": {
            "reference": model.reference,
            "revision": model.revision,
            "from_folder": model.is_from_folder,
            "fingerprint": model.fingerprint,
            "dtype": model.dtype,
            "weights": model.weights,
            "base": model.base,
            "type": model.config.model_type,
            "n_layers": model.n_layers,
            "hidden_size": model.hidden,
        },
        "template": template.text,
    }


def provenance_of(model: Model) -> dict[str, Any]:
    """Where the figures come from, beyond what decides them."""
    packages = ("torch", "transformers", "nnsight")
    versions = {"icl_vectors": VERSION, "python": platform.python_version()}
    return {
        "versions": {**versions, **{package: version(package) for package in packages}},
        "device": model.device,
        "path": {"name": model.way.name, "reason": model.way_reason},
        "platform": platform.platform(),
        "host": model.host,
    }

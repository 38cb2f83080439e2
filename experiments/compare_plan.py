"""What `compare` will run, checked before anything is computed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icl_vectors.bijections import are_related
from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.experiments.checks import check_counts, gather_tasks
from icl_vectors.experiments.measures import COMPARISON
from icl_vectors.layers import parse_layers
from icl_vectors.methods.method import Method
from icl_vectors.methods.ranking import read_ranking
from icl_vectors.methods.registry import parse_methods
from icl_vectors.prompts import Prompt, require_pairs, sample_prompts
from icl_vectors.tasks import Task
from icl_vectors.templates import Template, load_template

CONTROLS = ("random", "shuffled", "other-task", "task-mean")


@dataclass(frozen=True)
class ComparePlan:
    """The configuration of a comparison: everything that decides its results but the model.

    Attributes:
        others: for each task the one whose vectors are its control, or None for a single task.
        arrows: further templates, the same but for their arrow.
        curve: numbers of demonstrations, for accuracy against shots.
        ranking: heads with their effects that were found before, best first, or None.
    """

    tasks: tuple[Task, ...]
    methods: tuple[Method, ...]
    controls: tuple[str, ...]
    shots: int
    dummies: int
    dev: int
    test: int
    layers: tuple[int, ...]
    seed: int
    template: Template
    arrows: tuple[Template, ...]
    curve: tuple[int, ...]
    ranking: tuple[tuple[int, int, float], ...] | None

    @classmethod
    def make(
        cls,
        n_layers: int,
        n_heads: int,
        tasks: str | Iterable[str | Task],
        methods: str | Sequence[str],
        controls: str | Sequence[str],
        *,
        shots: int,
        dummies: int,
        dev: int,
        test: int,
        layers: str | Iterable[int],
        seed: int,
        template: str,
        arrows: str,
        shots_curve: str,
        heads: str | Path | None,
    ) -> "ComparePlan":
        """A plan that can be run.

        Raises:
            IclVectorsError: an unknown method or control, a count too small, a task too short.
        """
        if shots < 1:
            raise IclVectorsError(
                f"--shots {shots}: expected 1 or more; a method learns from demonstrations."
            )
        check_counts(shots=shots, dummies=dummies, dev=dev, test=test)
        plan = cls(
            tasks=gather_tasks(tasks),
            methods=tuple(parse_methods(joined(methods))),
            controls=parse_controls(joined(controls)),
            shots=shots,
            dummies=dummies,
            dev=dev,
            test=test,
            layers=parse_layers(layers, n_layers),
            seed=seed,
            template=load_template(template),
            arrows=parse_arrows(arrows, load_template(template)),
            curve=_with(parse_curve(shots_curve), shots),
            ranking=read_ranking(heads, n_layers, n_heads) if heads is not None else None,
        )
        require_pairs(plan.tasks, max([shots, *plan.curve]), dummies)
        return plan

    @property
    def ranks_heads(self) -> bool:
        """Whether heads are to be ranked first."""
        return self.ranking is None and any(method.heads for method in self.methods)

    @property
    def has_variants(self) -> bool:
        """Whether methods are also run as controls, with other arrows, or with other shots."""
        return bool(self.controls or self.arrows or self.further_shots)

    @property
    def n_units(self) -> int:
        """How many units there are: heads, then methods with regular and zero-shot, controls."""
        per_task = 2 + len(self.methods) * (1 + self.has_variants) + self.ranks_heads
        return len(self.tasks) * per_task

    @property
    def further_shots(self) -> list[int]:
        """The curve's numbers of demonstrations but for the comparison's own, and none at all."""
        return [shots for shots in self.curve if shots not in (0, self.shots)]

    def other(self, task: Task) -> Task | None:
        """The task whose vectors are a control: the next one of another category that is not made
        from the same pairs; where there is none, the next unrelated one, else the next."""
        start = self.tasks.index(task)
        following = [*self.tasks[start + 1 :], *self.tasks[:start]]
        strange = [other for other in following if not are_related(task.name, other.name)]
        elsewhere = [other for other in strange if other.category != task.category]
        return next(iter([*elsewhere, *strange, *following]), None)

    def prompts(self, task: Task, shots: int | None = None) -> tuple[list[Prompt], list[Prompt]]:
        """Dev and test prompts of a task; the queries are the same for every number of shots."""
        return sample_prompts(
            task,
            seed=self.seed,
            dev=self.dev,
            test=self.test,
            shots=self.shots if shots is None else shots,
            dummies=self.dummies,
        )

    def configuration(self) -> dict[str, Any]:
        """What decides the results, as it stands in run.json."""
        return {
            "tasks": {task.name: task.fingerprint for task in self.tasks},
            "methods": [method.name for method in self.methods],
            "controls": list(self.controls),
            "seed": self.seed,
            "shots": self.shots,
            "dummies": self.dummies,
            "dev": self.dev,
            "test": self.test,
            "layers": list(self.layers),
            "arrows": [template.text for template in self.arrows],
            "shots_curve": list(self.curve),
            "heads": "ranked here" if self.ranking is None else [list(one) for one in self.ranking],
            "comparison": COMPARISON,
        }


def parse_controls(text: str) -> tuple[str, ...]:
    """Controls from "all", "none" or names with commas between them.

    Raises:
        IclVectorsError: an unknown name.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["all"]:
        return CONTROLS
    if names == ["none"]:
        return ()
    for name in names:
        if name not in CONTROLS:
            raise unknown_name("--controls", name, [*CONTROLS, "all", "none"])
    return tuple(dict.fromkeys(names))


def parse_arrows(text: str, template: Template) -> tuple[Template, ...]:
    """Templates that differ in the arrow, from arrows with blanks between them.

    Raises:
        IclVectorsError: an arrow is the template's own.
    """
    found = []
    for arrow in dict.fromkeys(text.split()):
        other = replace(
            template, text=f"{template.before}{{input}}{arrow}{{output}}{template.after[:-1]}"
        )
        if other == template:
            raise IclVectorsError(
                f"--arrows {arrow!r}: expected arrows other than that of --template; leave it out."
            )
        found.append(other)
    return tuple(found)


def parse_curve(text: str) -> tuple[int, ...]:
    """Numbers of demonstrations, from "0,1,2,4".

    Raises:
        IclVectorsError: not of that form.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        raise IclVectorsError(
            f"--shots-curve {text!r}: expected numbers of demonstrations below 1000, such as "
            "0,1,2,4,8,16."
        )
    return tuple(sorted({int(part) for part in parts}))


def _with(curve: tuple[int, ...], shots: int) -> tuple[int, ...]:
    """The curve with the comparison's own number of demonstrations, where there is a curve."""
    return tuple(sorted({*curve, shots})) if curve else ()


def joined(names: str | Sequence[str]) -> str:
    """Names as they stand in a command: with commas between them.

    Raises:
        IclVectorsError: neither text nor several texts.
    """
    if isinstance(names, str):
        return names
    listed: list[object] = list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in listed):
        raise IclVectorsError(f"expected names, or a text with commas, found {names!r}.")
    return ",".join(map(str, listed))

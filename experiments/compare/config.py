"""What `compare` is asked for: methods, controls, further arrows and numbers of demonstrations."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from icl_vectors.engine.config import (
    ALL_TASKS,
    CANDIDATES,
    Layers,
    Positive,
    PromptsConfig,
    Tasks,
    asked,
    one_of,
    option,
)
from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.given import whole_number
from icl_vectors.prompts.labels import require_labels
from icl_vectors.prompts.sampling import Prompt, require_pairs
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.bijections import are_related
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.methods.method import Method

CONTROLS = ("random", "shuffled", "other-task", "task-mean")


def parse_method_names(value: Any) -> tuple[str, ...]:
    """Names of methods from "all", names with commas between them, or a list.

    Raises:
        IclVectorsError: an unknown name, or none.
    """
    from icl_vectors.methods.registry import parse_methods

    return tuple(method.name for method in parse_methods(joined(value)))


def parse_controls(value: Any) -> tuple[str, ...]:
    """Controls from "all", "none", names with commas between them, or a list.

    Raises:
        IclVectorsError: an unknown name.
    """
    names = [part.strip() for part in joined(value).split(",") if part.strip()]
    if names == ["all"]:
        return CONTROLS
    if names == ["none"]:
        return ()
    for name in names:
        if name not in CONTROLS:
            raise unknown_name("--controls", name, [*CONTROLS, "all", "none"])
    return tuple(dict.fromkeys(names))


def parse_curve(value: Any, option: str = "--shots-curve") -> tuple[int, ...]:
    """Numbers of demonstrations, from "0,1,2,4", one number, or a list.

    Raises:
        IclVectorsError: not of that form.
    """
    single = whole_number(value)
    listed = value if isinstance(value, Iterable) else [single]
    text = value if isinstance(value, str) else ",".join(map(str, listed))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and len(part) < 4 for part in parts):
        raise IclVectorsError(
            f"{option} {text!r}: expected numbers of "
            "demonstrations below 1000, such as 0,1,2,4,8,16."
        )
    return tuple(sorted({int(part) for part in parts}))


Curve = Annotated[
    tuple[int, ...], BeforeValidator(lambda value, info: parse_curve(value, option(info)))
]


def parse_arrows(given: str | Iterable[str], template: Template) -> tuple[Template, ...]:
    """Templates that differ in the arrow.

    Args:
        given: arrows with blanks between them; or whole templates, as run.json stores them.

    Raises:
        IclVectorsError: an arrow is the template's own.
    """
    if not isinstance(given, str):
        return tuple(replace(template, text=text) for text in given)
    found = []
    for arrow in dict.fromkeys(given.split()):
        text = f"{template.before}{{input}}{arrow}{{output}}{template.after[:-1]}"
        other = replace(template, text=text)
        if other == template:
            raise IclVectorsError(
                f"--arrows {arrow!r}: expected arrows other than that of --template; leave it out."
            )
        found.append(other)
    return tuple(found)


def joined(names: Any) -> str:
    """Names as they are in a command: with commas between them.

    Raises:
        IclVectorsError: neither text nor several texts.
    """
    if isinstance(names, str):
        return names
    listed: list[object] = list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in listed):
        raise IclVectorsError(f"expected names, or a text with commas, found {names!r}.")
    return ",".join(map(str, listed))


def _heads(value: Any) -> Any:
    return None if value == "ranked here" else value  # as run.json stores it


Heads = Annotated[Path | list[Any] | None, BeforeValidator(_heads), WithJsonSchema({})]
Names = tuple[str, ...]


class CompareConfig(PromptsConfig):
    """What `compare` is asked for."""

    tasks: Tasks = asked("all", ALL_TASKS)
    methods: Annotated[Names, BeforeValidator(parse_method_names)] = asked(
        "all",
        "all: state, state-mean, state-mean-add, function, icv, state-vector, multi; or some of "
        "them, learned (trained) and linear (fitted).",
    )
    controls: Annotated[Names, BeforeValidator(parse_controls)] = asked(
        "all", "all, none, or of random, shuffled, other-task, task-mean."
    )
    arrows: str | tuple[str, ...] = asked(
        "", "Also inject the vectors under these arrows, such as '-> : ='."
    )
    shots_curve: Curve = asked("", "Also measure at these shots: 0,1,2,4,8,16.")
    heads: Heads = asked(None, "heads.json of an earlier run, not to rank heads again.")
    layers: Layers = asked("all", CANDIDATES)
    answer: Annotated[str, one_of("first-token", "labels")] = asked(
        "first-token", "What is compared: first-token, or labels (the likeliest of few)"
    )
    shots: Positive = asked(5, "Demonstrations in a prompt.")

    @model_validator(mode="after")
    def _require_enough(self) -> Self:
        require_pairs(self.tasks, max([self.shots, *self.curve]), self.dummies)
        parse_arrows(self.arrows, self.template)
        fitted = [method.name for method in self.chosen if method.fit is not None]
        if fitted and self.dev < 2:
            raise IclVectorsError(
                f"--dev {self.dev} with --methods {fitted[0]}: expected 2 or more, half to fit on "
                "and half to choose on."
            )
        if self.answer == "labels":
            require_labels(self.tasks)
        return self

    @property
    def chosen(self) -> "tuple[Method, ...]":
        """The methods that are compared."""
        from icl_vectors.methods.registry import find_method

        return tuple(map(find_method, self.methods))

    @property
    def templates(self) -> tuple[Template, ...]:
        """The further templates, the same but for their arrow."""
        return parse_arrows(self.arrows, self.template)

    @property
    def curve(self) -> tuple[int, ...]:
        """Numbers of demonstrations of the curve, with `shots`; () where there is no curve."""
        return tuple(sorted({*self.shots_curve, self.shots})) if self.shots_curve else ()

    @property
    def further_shots(self) -> list[int]:
        """The curve's numbers of demonstrations but for the comparison's own, and none at all."""
        return [shots for shots in self.curve if shots not in (0, self.shots)]

    @property
    def has_variants(self) -> bool:
        """Whether methods are also run as controls, with other arrows, or with other shots."""
        return bool(self.controls or self.arrows or self.further_shots)

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
        return self.drawn(task, shots=self.shots if shots is None else shots)

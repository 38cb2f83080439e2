"""What an experiment is asked for: one frozen object, checked when it is made.

Its fields are the keywords of the Python function, the options of the command (name, default and
help text), and what `run.json` stores of a run, so that the same object repeats it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.given import plain, whole_number
from icl_vectors.prompts.chat import in_chat
from icl_vectors.prompts.sampling import Prompt, has_few_labels, require_pairs, sample_prompts
from icl_vectors.prompts.template import Template, load_template
from icl_vectors.tasks.choose import check_seeds, gather_tasks, parse_pairs, require_own_tasks
from icl_vectors.tasks.task import Task


def option(info: ValidationInfo) -> str:
    """A field as the command line names it."""
    return "--" + (info.field_name or "").replace("_", "-")


def at_least(least: int) -> BeforeValidator:
    """A whole number, of Python, NumPy or torch, not below a bound."""

    def check(value: Any, info: ValidationInfo) -> int:
        found = whole_number(value)
        if found is None or found < least:
            raise IclVectorsError(f"{option(info)} {value}: expected {least} or more.")
        return found

    return BeforeValidator(check)


def one_of(*names: str) -> BeforeValidator:
    """One of some names."""

    def check(value: Any, info: ValidationInfo) -> str:
        if value not in names:
            raise unknown_name(option(info), value, names)
        return str(value)

    return BeforeValidator(check)


def typed_number(value: Any) -> int | None:
    """A whole number, also as text; None where it is none."""
    is_typed = isinstance(value, str) and re.fullmatch(r"\s*-?\d+\s*", value)
    return int(value) if is_typed else whole_number(value)


def _batch_size(value: Any, info: ValidationInfo) -> int | None:
    if value in (None, "auto"):
        return None
    if (found := typed_number(value)) is None or found < 1:
        raise IclVectorsError(f"--batch-size {value}: expected auto, or 1 or more.")
    return found


def _seeds(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, str):
        return None if value is None else check_seeds(value)
    seeds = [typed_number(part) for part in value.split(",") if part.strip()]
    if not seeds or None in seeds:
        raise IclVectorsError(f"--seeds {value!r}: expected whole numbers, such as 41,42,43.")
    return check_seeds([seed for seed in seeds if seed is not None])


def _same_tasks(fingerprints: Mapping[str, str], own: Mapping[str, Task]) -> tuple[Task, ...]:
    """The tasks of a run, whose data must be what they were."""
    require_own_tasks(fingerprints, own)
    found = gather_tasks([own.get(name, name) for name in fingerprints])
    for task in found:
        if task.fingerprint != fingerprints[task.name]:
            raise IclVectorsError(
                f"task {task.name!r}: expected the data of that run (fingerprint "
                f"{fingerprints[task.name]}), found {task.fingerprint}; give its file with "
                "--task-file."
            )
    return found


def _layers(value: Any) -> str | list[Any]:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return [plain(one) for one in value] if several else plain(value)


def asked(default: Any, text: str) -> Any:
    """A field of a configuration: its default, as it may be typed, and its help text."""
    return Field(default, description=text)


def _whole(value: Any, info: ValidationInfo) -> int:
    if (found := whole_number(value)) is None:
        raise IclVectorsError(f"{option(info)} {value!r}: expected a whole number.")
    return found


def _layer(value: Any, info: ValidationInfo) -> int | None:
    return None if value is None else _whole(value, info)


Layer = Annotated[int | None, BeforeValidator(_layer)]
Positive = Annotated[int, at_least(1), Field(ge=1)]
NotNegative = Annotated[int, at_least(0), Field(ge=0)]
TwoOrMore = Annotated[int, at_least(2), Field(ge=2)]
Seed = Annotated[int, BeforeValidator(_whole)]
Seeds = Annotated[tuple[int, ...] | None, BeforeValidator(_seeds)]
BatchSize = Annotated[int | None, BeforeValidator(_batch_size)]
Flag = Annotated[bool, BeforeValidator(lambda value: bool(plain(value)))]
Layers = Annotated[Any, BeforeValidator(_layers), WithJsonSchema({"type": ["string", "array"]})]
Tasks = Annotated[
    tuple[InstanceOf[Task], ...],
    BeforeValidator(gather_tasks),
    PlainSerializer(lambda tasks: {task.name: task.fingerprint for task in tasks}),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]
TemplateText = Annotated[
    InstanceOf[Template],
    BeforeValidator(lambda given: given if isinstance(given, Template) else load_template(given)),
    PlainSerializer(lambda template: template.text),
    WithJsonSchema({"type": "string"}),
]


class Config(BaseModel):
    """What every experiment is asked for.

    Attributes:
        of_sweep: names of the fields that only matter to a sweep that has to run first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    of_sweep: ClassVar[frozenset[str]] = frozenset()

    test: Positive = asked(50, "Test prompts per task.")
    dev: Positive = asked(50, "Dev prompts per task (they choose the layer).")
    seed: Seed = asked(41, "Seed of prompts and demonstrations.")
    template: TemplateText = asked(
        "{input}→{output}", r"A text with {input} and {output} (\n: newline, \t: tab), or: paper."
    )
    chat: Flag = asked(False, "Prompts in a user turn, by the tokenizer's chat template.")

    def for_model(self, tokenizer: Any) -> Self:
        """The same with the template as this tokenizer writes it: in a chat, in its own words.

        Raises:
            IclVectorsError: a chat is asked for, and there is no chat template.
        """
        if not self.chat or self.template.turn.tail:
            return self
        return self.model_copy(update={"template": in_chat(self.template, tokenizer)})

    def drawn(self, task: Task, **counts: Any) -> tuple[list[Prompt], list[Prompt]]:
        """Dev and test prompts of a task, by this configuration's counts but for those given."""
        names = ("dev", "test", "seed", "shots", "dummies", "unbalanced")
        own = {name: getattr(self, name) for name in names if name not in counts}
        return sample_prompts(task, **own, **counts)

    @classmethod
    def make(cls, *given: Any, **options: Any) -> Self:
        """A configuration from a function's arguments: an object of this class, or its fields.

        Args:
            given: a configuration, changed by `options`; or the first fields by position.

        Raises:
            TypeError: an argument that this experiment does not have.
            IclVectorsError: a value that can't be right.
        """
        if len(given) == 1 and isinstance(given[0], Config):
            if not isinstance(given[0], cls):
                raise TypeError(f"expected a {cls.__name__}, found {type(given[0]).__name__}")
            options = {name: getattr(given[0], name) for name in cls.model_fields} | options
            given = ()
        names = cls.own_first()
        if len(given) > len(names) or {*names[: len(given)]} & {*options}:
            raise TypeError(f"{cls.__name__}: more arguments than {', '.join(names)}")
        for name in options:
            if name not in cls.model_fields:
                raise TypeError(f"got an unexpected keyword argument {name!r}")
        return cls(**dict(zip(names, given, strict=False)), **options)

    @classmethod
    def own_first(cls) -> list[str]:
        """The fields' names, those that this experiment alone has first."""
        shared = {*Config.model_fields, *PromptsConfig.model_fields}
        return sorted(cls.model_fields, key=lambda name: name in shared)

    @classmethod
    def of_run(
        cls, run: Mapping[str, Any], experiment: str, own: Iterable[Task] = (), **options: Any
    ) -> Self:
        """The configuration of an earlier run, from its run.json.

        Args:
            own: the user's tasks of that run; a run.json stores fingerprints of their data.
            options: fields in place of that run's.

        Raises:
            IclVectorsError: the run has no such experiment, or a task's data have changed.
        """
        found = run.get("experiments", {})
        if experiment not in found:
            known = ", ".join(found) or "none"
            raise IclVectorsError(f"--config: expected a run of {experiment}, found {known}.")
        shared = found.get("sweep", {}).get("configuration", {})
        recorded = {name: shared[name] for name in cls.of_sweep if name in shared}
        recorded |= found[experiment]["configuration"] | {"template": Template(run["template"])}
        kept = {name: recorded[name] for name in cls.model_fields if recorded.get(name) is not None}
        if "tasks" in kept and "tasks" not in options:
            kept["tasks"] = _same_tasks(kept["tasks"], {task.name: task for task in own})
        if "pairs" in kept and "pairs" not in options:
            kept["pairs"] = parse_pairs(kept["pairs"], own)
        return cls(**(kept | options))

    def recorded(self, **resolved: Any) -> dict[str, Any]:
        """What decides the results, as run.json stores it.

        Args:
            resolved: what the model or an earlier experiment made of some fields.
        """
        left_out = {"template", "batch_size"} | self.of_sweep  # the template is the folder's
        found = {**self.model_dump(mode="json", exclude=left_out), **resolved}
        tasks = [*getattr(self, "tasks", ()), *chain(*getattr(self, "pairs", ()))]
        found["chat"] = self.chat or None  # as in older folders
        if "unbalanced" in found and not any(map(has_few_labels, tasks)):
            found["unbalanced"] = None  # it decides nothing, as in older folders
        if "theta_source" in found:
            named = {task.name: task.instruction for task in tasks}
            alone = found["theta_source"] == DEMONSTRATIONS  # as in older folders
            found["theta_source"] = None if alone else found["theta_source"]
            found["instructions"] = None if alone else named
        return found


DEMONSTRATIONS, INSTRUCTION, BOTH = "demonstrations", "instruction", "both"
UNBALANCED = "Do not balance demonstrations over labels (where these are few)."


class PromptsConfig(Config):
    """What experiments with prompts of their own are asked for."""

    shots: NotNegative = asked(5, "Demonstrations in a prompt.")
    dummies: Positive = asked(2, "Dummy queries that θ is averaged over.")
    batch_size: BatchSize = asked("auto", "Prompts at once; auto: from free memory.")
    unbalanced: Flag = asked(False, UNBALANCED)

    @model_validator(mode="after")
    def _require_instructions_and_pairs(self) -> Self:
        tasks: tuple[Task, ...] = getattr(self, "tasks", ())
        without = [task.name for task in tasks if not task.instruction]
        if without and not self.reads_demonstrations_alone:
            raise IclVectorsError(
                "--theta-source: expected tasks that name their rule, found no instruction in "
                f"{', '.join(without)}; give its file a column (in JSON a key) named instruction."
            )
        if tasks:
            require_pairs(tasks, self.shots, self.dummies)
        return self

    @property
    def reads_demonstrations_alone(self) -> bool:
        """Whether θ is read after demonstrations, not after an instruction."""
        return getattr(self, "theta_source", DEMONSTRATIONS) == DEMONSTRATIONS


def instructed(task: Task, prompts: Iterable[Prompt]) -> list[Prompt]:
    """The prompts with the task's instruction in place of the demonstrations before θ's arrow."""
    return [replace(prompt, instruction=task.instruction) for prompt in prompts]


ALL_TASKS = "Names, comma-separated, or a category, or all (the default)."
CANDIDATES = "Candidates: all, A:B[:STEP] as in Python, or I,J,…"

"""Tasks: named lists of input–output pairs, each output with its accepted variants."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.generated import GENERATED
from icl_vectors.task_files import read_pairs

CATEGORIES: dict[str, tuple[str, ...]] = {
    "algorithmic": (
        "next_letter",
        "prev_letter",
        "list_first",
        "list_last",
        "to_upper",
        "to_lower",
    ),
    "translation": ("fr_en", "en_fr", "es_en", "en_es"),
    "linguistic": (
        "present_simple_gerund",
        "present_simple_past_simple",
        "plural_singular",
        "antonyms",
    ),
    "knowledge": (
        "country_capital",
        "person_language",
        "location_continent",
        "location_religion",
    ),
}

Outputs: TypeAlias = str | Iterable[str]


@dataclass(frozen=True)
class Task:
    """Pairs of input and accepted outputs; the first output is the one that is demonstrated.

    Attributes:
        pairs: (input, (output, further accepted outputs …)), in the file's order, inputs unique.
    """

    name: str
    pairs: tuple[tuple[str, tuple[str, ...]], ...]
    category: str = "user"
    version: int = 1
    description: str = ""
    source: str = ""
    licence: str = ""
    answers: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.pairs:
            raise IclVectorsError(f"task {self.name!r}: expected pairs, found none.")
        object.__setattr__(self, "answers", dict(self.pairs))

    @classmethod
    def from_pairs(
        cls, name: str, pairs: Mapping[str, Outputs] | Iterable[tuple[str, Outputs]]
    ) -> "Task":
        """A task from a mapping or an iterable of (input, output or outputs).

        Raises:
            IclVectorsError: no pairs, or a blank input or output. Repeated inputs are merged.
        """
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        merged: dict[str, list[str]] = {}
        for input, outputs in items:
            given: Any = outputs  # callers may pass what the types forbid
            accepted: list[Any] = [given] if isinstance(given, str | int | float) else list(given)
            if not all(isinstance(text, str) for text in (input, *accepted)):
                raise IclVectorsError(
                    f"task {name!r}: expected text for input and output, "
                    f"found {input!r}: {accepted!r}."
                )
            if not input.strip() or not accepted or not all(out.strip() for out in accepted):
                raise IclVectorsError(
                    f"task {name!r}: expected an input and an output that are not blank, "
                    f"found {input!r}: {accepted!r}."
                )
            known = merged.setdefault(input.strip(), [])
            known += [out.strip() for out in accepted if out.strip() not in known]
        return cls(name, tuple((input, tuple(outputs)) for input, outputs in merged.items()))

    @classmethod
    def from_file(cls, path: str | Path) -> "Task":
        """A user's own task from JSON, CSV or TSV; the file's stem is its name."""
        return cls.from_pairs(Path(path).stem, read_pairs(Path(path)))

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(input for input, _ in self.pairs)

    @property
    def fingerprint(self) -> str:
        """A hash of name and pairs: the same data, the same hash, on every machine."""
        content = json.dumps([self.name, self.pairs], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def demonstration(self, input: str) -> tuple[str, str]:
        return input, self.answers[input][0]


def list_tasks() -> tuple[str, ...]:
    """The names of the built-in tasks, by category (the 18 of the paper's section 3.1)."""
    return tuple(name for names in CATEGORIES.values() for name in names)


@cache
def load_task(name: str) -> Task:
    """A built-in task by its name.

    Raises:
        IclVectorsError: there is no task of that name; the known ones are listed.
    """
    if name not in list_tasks():
        raise unknown_name("task", name, list_tasks())
    if name in GENERATED:
        return _from_data(GENERATED[name]())
    text = (files("icl_vectors.data") / "tasks" / f"{name}.json").read_text("utf-8")
    return _from_data(json.loads(text))


def select_tasks(names: str, task_files: Iterable[str | Path] = ()) -> tuple[Task, ...]:
    """The tasks of a comma-separated list of names, categories or `all`, then the user's own."""
    wanted: dict[str, Task] = {}
    for name in filter(None, (part.strip() for part in names.split(","))):
        for member in list_tasks() if name == "all" else CATEGORIES.get(name, (name,)):
            if member not in list_tasks():
                raise unknown_name("task", member, [*list_tasks(), *CATEGORIES, "all"])
            wanted[member] = load_task(member)
    for path in task_files:
        task = Task.from_file(path)
        if task.name in wanted or task.name in list_tasks():
            raise IclVectorsError(
                f"task file {path}: the name {task.name!r} is taken; rename the file."
            )
        wanted[task.name] = task
    if not wanted:
        raise IclVectorsError("expected at least one task, found none; see `icl-vectors tasks`.")
    return tuple(wanted.values())


def _from_data(data: Mapping[str, Any]) -> Task:
    pairs = tuple((pair["input"], tuple(pair["output"])) for pair in data["pairs"])
    rest = {key: value for key, value in data.items() if key != "pairs"}
    return Task(pairs=pairs, **rest)

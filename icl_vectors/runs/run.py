"""A run as the report reads it: everything in its folder, as far as it could be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from icl_vectors.runs.schema import (
    Cluster,
    Compared,
    Conflict,
    MethodSummary,
    Model,
    TaskResult,
    Vocabulary,
)
from icl_vectors.tasks.task import list_tasks

REGULAR, ZERO_SHOT = "regular", "zero-shot"


@dataclass(frozen=True)
class Point:
    """One θ in the plane."""

    task: str
    category: str
    tsne: tuple[float, float]
    pca: tuple[float, float]
    source: str = ""


@dataclass(frozen=True)
class Example:
    """One test prompt with the answers of the methods: (prediction, whether it is right)."""

    task: str
    query: str
    answers: tuple[str, ...]
    predictions: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True)
class Comparison:
    """All that `compare` found."""

    entries: tuple[Compared, ...] = ()
    summary: tuple[MethodSummary, ...] = ()
    arrows: tuple[Compared, ...] = ()
    shots: tuple[Compared, ...] = ()

    @property
    def methods(self) -> list[str]:
        """The methods in their order, regular and zero-shot first, controls not among them."""
        return list(dict.fromkeys(one.method for one in self.entries if not one.of))

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(one.task for one in self.entries))

    def of_method(self, method: str) -> dict[str, Compared]:
        """A method's or control's entries by task."""
        return {one.task: one for one in self.entries if one.method == method}

    def controls_of(self, method: str) -> list[str]:
        """The names of a method's controls, "METHOD:CONTROL"."""
        return list(dict.fromkeys(one.method for one in self.entries if one.of == method))


@dataclass(frozen=True)
class Run:
    """Everything that a run folder holds, as far as it could be read.

    Attributes:
        about: the content of run.json.
        data: the content of results.json.
        parts: entries of every experiment in the folder that is not named here.
        missing: what could not be read or was not run, one sentence each.
    """

    model: str
    dtype: str
    n_layers: int
    about: Mapping[str, Any]
    data: Mapping[str, Any]
    tasks: tuple[TaskResult, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    cluster: Cluster | None = None
    points: tuple[Point, ...] = ()
    vocabulary: tuple[Vocabulary, ...] = ()
    examples: tuple[Example, ...] = ()
    comparison: Comparison | None = None
    parts: Mapping[str, tuple[Model, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[TaskResult, ...]:
        """The entries that means and claims are about: of tasks whose answers can be told apart."""
        alike = {one.task for one in self.tasks if one.begin_alike}
        return tuple(one for one in self.tasks if one.task not in alike)

    @property
    def of_paper(self) -> bool:
        """Whether tasks of the paper were run; a folder where none is finished counts as such."""
        named = {one.task for one in self.tasks} | {one.task for one in self.vocabulary}
        named |= {task for one in self.conflicts for task in (one.a, one.b)}
        named |= set(self.cluster.tasks) if self.cluster else set()
        return not named or bool(named & {*list_tasks()})

    @property
    def label(self) -> str:
        return f"{self.model} ({self.dtype})"

    @property
    def is_apart(self) -> bool:
        """Whether the folder holds other experiments than the paper's, and none of those."""
        theirs = self.tasks or self.conflicts or self.cluster or self.vocabulary
        return bool(self.parts) and not theirs

    @property
    def weights(self) -> str:
        """A remark on the weights ("dequantised from 4-bit …"), or ""."""
        return str(self._of_model("weights") or "")

    @property
    def fingerprint(self) -> str:
        """What tells one model from another: its fingerprint, else its name."""
        return str(self._of_model("fingerprint") or self.model)

    def _of_model(self, key: str) -> Any:
        model = self.about.get("model")
        return model.get(key) if isinstance(model, Mapping) else None

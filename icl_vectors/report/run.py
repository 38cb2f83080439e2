"""What a run folder holds, as frozen dataclasses: one per entry of results.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from icl_vectors.report.comparison import Comparison
from icl_vectors.scoring import Accuracy

METHODS = ("baseline", "hypothesis", "regular")


@dataclass(frozen=True)
class TaskResult:
    """One task with one seed.

    Attributes:
        dev_accuracy: accuracy with θ injected at each block, None where not swept.
        fails: why θ does not carry the task, in words; never a success.
        begin_alike: first tokens can't tell its answers apart; left out of means and claims.
        n_labels: distinct first tokens of accepted answers; None in older runs.
        constant: what the best single answer earns.
        n_apart: test prompts whose answer no dummy gives; `apart` is hypothesis, regular on them.
        n_echo: test prompts whose accepted answer begins like the query.
    """

    task: str
    category: str
    seed: int
    n_test: int
    n_dev: int
    n_distinct: int
    n_echo: int
    baseline: Accuracy
    hypothesis: Accuracy
    regular: Accuracy
    best_layer: int
    dev_accuracy: tuple[float | None, ...]
    fails: tuple[str, ...] = ()
    begin_alike: bool = False
    n_labels: int | None = None
    constant: Accuracy | None = None
    n_apart: int = 0
    apart: tuple[Accuracy, Accuracy] | None = None


@dataclass(frozen=True)
class Conflict:
    """Demonstrations of task a, θ of task b: accuracy on the answers of each."""

    a: str
    b: str
    layer: int | None
    n: int
    regular_a: Accuracy
    regular_b: Accuracy
    injected_a: Accuracy
    injected_b: Accuracy


@dataclass(frozen=True)
class Point:
    """One θ in the plane."""

    task: str
    category: str
    tsne: tuple[float, float]
    pca: tuple[float, float]


@dataclass(frozen=True)
class Histogram:
    """Counts of cosine distances between pairs of θ."""

    edges: tuple[float, ...]
    within: tuple[float, ...]
    between: tuple[float, ...]


@dataclass(frozen=True)
class Cluster:
    """Many θ a task at one block: how well they separate, in cosine distance.

    Attributes:
        distances: mean distance, task × task, in the order of `tasks`.
    """

    layer: int | None
    per_task: int | None
    silhouette: float
    within: float | None
    between: float | None
    nearest: Mapping[str, str]
    tasks: tuple[str, ...] = ()
    distances: tuple[tuple[float, ...], ...] = ()
    histogram: Histogram | None = None
    silhouette_by_layer: Mapping[int, float] = field(default_factory=dict)
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """θ of a task at one block, through the final norm and the unembedding.

    Attributes:
        tokens: (token, probability), the likeliest first.
        baseline: the same for the state without θ.
        added: (token, difference of the two probabilities).
        in_outputs: the share of `tokens` that are also answers of the model; None if not counted.
    """

    task: str
    layer: int | None
    tokens: tuple[tuple[str, float], ...]
    baseline: tuple[tuple[str, float], ...] = ()
    added: tuple[tuple[str, float], ...] = ()
    in_outputs: float | None = None


@dataclass(frozen=True)
class Example:
    """One test prompt with the answers of the methods: (prediction, whether it is right)."""

    task: str
    query: str
    answers: tuple[str, ...]
    predictions: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True)
class Run:
    """Everything that a run folder holds, as far as it could be read.

    Attributes:
        about: the content of run.json.
        lacking: what could not be read or was not run, one sentence each.
    """

    model: str
    dtype: str
    n_layers: int
    about: Mapping[str, Any]
    tasks: tuple[TaskResult, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    cluster: Cluster | None = None
    vocabulary: tuple[Vocabulary, ...] = ()
    examples: tuple[Example, ...] = ()
    comparison: Comparison | None = None
    lacking: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[TaskResult, ...]:
        """The entries that means and claims are about: of tasks whose answers can be told apart."""
        alike = {one.task for one in self.tasks if one.begin_alike}
        return tuple(one for one in self.tasks if one.task not in alike)

    @property
    def label(self) -> str:
        return f"{self.model} ({self.dtype})"

    @property
    def is_comparison_alone(self) -> bool:
        """Whether the folder holds a comparison of methods and nothing else."""
        others = self.tasks or self.conflicts or self.cluster or self.vocabulary
        return self.comparison is not None and not others

    @property
    def weights(self) -> str:
        """A remark on the weights ("dequantised from 4-bit …"), or ""."""
        model = self.about.get("model")
        return str(model.get("weights") or "") if isinstance(model, Mapping) else ""

    @property
    def fingerprint(self) -> str:
        """What tells one model from another: its fingerprint, else its name."""
        model = self.about.get("model")
        found = model.get("fingerprint") if isinstance(model, Mapping) else None
        return str(found or self.model)

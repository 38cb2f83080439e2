"""The schema of a run's files: what run.json, records.jsonl and results.json hold.

Models of pydantic, frozen; each mirrors its JSON. A run's folder may be of a newer version, or
edited, or damaged: nothing is believed before it is validated.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from icl_vectors.prompts.sampling import FEW_LABELS as FEW_LABELS

SCHEMA = 1
METHODS = ("baseline", "hypothesis", "regular")
COPIES = "copies its dummies"
TOO_FEW = "too few prompts to tell"  # how such a fault begins
BEGIN_ALIKE = "its answers begin alike: compare them whole with --answer generate or labels"


def faults_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Why θ does not carry a task, in words; older entries know of copies alone."""
    return tuple(entry.get("fails", [COPIES] if entry.get("copies_dummies") else []))


def untold(faults: Collection[str]) -> bool:
    """Whether too few prompts are all that speaks against θ: no success, but no failure either."""
    return bool(faults) and all(fault.startswith(TOO_FEW) for fault in faults)


def _or(default: Any) -> BeforeValidator:
    """null is read as the default."""
    return BeforeValidator(lambda value: default if value is None else value)


Text = StrictStr
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0)]
Category = Annotated[Text, _or("user")]


class Model(BaseModel):
    """Frozen; keys that this version does not know are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Estimate(Model):
    """An accuracy with its 95 % Wilson interval."""

    accuracy: Share
    low: Share
    high: Share


class Apart(Model):
    """Accuracy on the n test prompts whose answer no dummy gives; null where n is 0."""

    n: Count
    hypothesis: Estimate | None = None
    regular: Estimate | None = None


class TaskResult(Model):
    """An entry of `tasks`: one task with one seed in a sweep.

    Attributes:
        n_echo: test prompts whose accepted answer begins like the query.
        dev_accuracy_by_layer: accuracy with θ injected at each block, null where not swept.
        copies_dummies: θ gives a dummy's own answer more often than regular prompts do.
        fails: why θ does not carry the task, in words; never a success.
        begin_alike: first tokens can't tell its answers apart; left out of means and claims.
        n_labels: distinct first tokens of accepted answers.
        constant: what the best single answer earns.
    """

    task: Text
    category: Category = "user"
    seed: StrictInt
    n_test: Count
    n_dev: Count = 0
    n_distinct: Count = 0
    n_echo: Count = 0
    baseline: Estimate
    hypothesis: Estimate
    regular: Estimate
    best_layer: Count
    dev_accuracy_by_layer: tuple[Share | None, ...]
    copies_dummies: StrictBool = False
    fails: tuple[Text, ...] = ()
    begin_alike: StrictBool = False
    n_labels: Count | None = None
    constant: Estimate | None = None
    apart: Apart | None = None

    @model_validator(mode="before")
    @classmethod
    def _fails_by_copying(cls, value: Any) -> Any:
        """Older runs say of copies alone why a task fails."""
        if not isinstance(value, dict):
            return value
        return {"n_distinct": value.get("n_test"), **value, "fails": faults_of(value)}


class Sides(Model):
    """Accuracy on the answers of task a and of task b."""

    a: Estimate
    b: Estimate


class Conflict(Model):
    """An entry of `conflict`: demonstrations of task a, θ of task b."""

    a: Text
    b: Text
    layer: Count | None = None
    n: Count
    regular: Sides
    injected: Sides


class Histogram(Model):
    """Counts of cosine distances between pairs of θ."""

    edges: tuple[Number, ...]
    within: tuple[Number, ...]
    between: tuple[Number, ...]

    @model_validator(mode="after")
    def _fits(self) -> "Histogram":
        if not len(self.edges) - 1 == len(self.within) == len(self.between):
            raise ValueError("expected one edge more than counts")
        return self


class Sources(Model):
    """Mean θ after an instruction beside mean θ after demonstrations, by cosine.

    Attributes:
        own, others: of each task at each of `layers`, with its own θ and with those of others.
        nearest: the task whose θ after demonstrations is nearest.
    """

    layers: tuple[Count, ...]
    own: dict[Text, tuple[Number, ...]]
    others: dict[Text, tuple[Number, ...]]
    nearest: dict[Text, Text]


class Cluster(Model):
    """`cluster`: many θ per task at one block, in cosine distance.

    Attributes:
        distances: mean distance, task × task, in the order of `tasks`.
    """

    layer: Count | None = None
    per_task: Count | None = None
    silhouette: Number
    within: Number | None = None
    between: Number | None = None
    nearest: Annotated[dict[Text, Text], _or({})] = {}
    tasks: Annotated[tuple[Text, ...], _or(())] = ()
    distances: Annotated[tuple[tuple[Number, ...], ...], _or(())] = ()
    histogram: Histogram | None = None
    silhouette_by_layer: Annotated[dict[int, Number | None], _or({})] = {}
    sources: Sources | None = None

    @model_validator(mode="after")
    def _is_square(self) -> "Cluster":
        sizes = {len(self.distances), *map(len, self.distances)}
        if self.distances and sizes != {len(self.tasks)}:
            raise ValueError(f"distances: expected {len(self.tasks)} × {len(self.tasks)} values")
        return self


class Token(Model):
    """A token with its probability, or with what θ adds to it."""

    token: Text
    value: Number = Field(validation_alias=AliasChoices("probability", "difference"))


class Vocabulary(Model):
    """An entry of `vocabulary`: θ of a task at one block, through final norm and unembedding.

    Attributes:
        tokens: the likeliest first; `baseline` those of the state without θ.
        in_outputs: the share of `tokens` that are also answers of the model; null if not counted.
        n: the test prompts whose answers those are; older runs do not say.
    """

    task: Text
    layer: Count | None = None
    tokens: tuple[Token, ...]
    baseline: Annotated[tuple[Token, ...], _or(())] = ()
    added: Annotated[tuple[Token, ...], _or(())] = ()
    in_outputs: Share | None = None
    n: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _counts_as_shares(cls, value: Any) -> Any:
        """Older runs count the tokens, with a whole number."""
        found = value.get("in_outputs") if isinstance(value, dict) else None
        if isinstance(found, bool) or not isinstance(found, int):
            return value
        n_tokens = len(value.get("tokens") or ())
        return {**value, "in_outputs": found / n_tokens if n_tokens else None}


class Left(Model):
    """A method's accuracy on the n test prompts whose answer no dummy gives; null where n is 0."""

    n: Count
    accuracy: Share | None = None
    low: Share | None = None
    high: Share | None = None


class Compared(Estimate):
    """An entry of `compare`, `compare_arrows` or `compare_shots`: one method on one task.

    Attributes:
        of: the method whose control this is, or "".
        condition: the arrow or the number of demonstrations, or "".
        layer_tokens: of the vectors and the answers.
        n_labels, constant, begin_alike: of the task, as in a sweep.
        fails: why the method does not carry the task, in words.
    """

    task: Text
    category: Category = "user"
    method: Text
    of: Text = ""
    n: Count
    log_probability: Number
    rank: Number
    total_variation: Number
    divergence: Number
    layer_tokens: Count = 0
    arrow: Text = ""
    shots: Count | None = None
    n_labels: Count | None = None
    constant: Estimate | None = None
    begin_alike: StrictBool = False
    apart: Left | None = None
    fails: tuple[Text, ...] = ()

    @property
    def condition(self) -> str:
        return self.arrow or ("" if self.shots is None else str(self.shots))


class Against(Model):
    """A method beside another on the same prompts: where they differ, and McNemar's exact p."""

    accuracy: Share
    won: Count
    lost: Count
    p: Share


class MethodSummary(Model):
    """An entry of `compare_summary`: a method over all tasks.

    Attributes:
        beats_controls: null where it has none, or too few prompts differ.
        beside: of methods that fit something, the extracted ones.
    """

    method: Text
    accuracy: Share
    n: Count
    n_tasks: Count
    layer_tokens: Count
    layer_tokens_choosing: Count
    ranking: Count = 0
    seconds: Number
    jobs: Count = 0
    against: dict[Text, Against]
    beside: dict[Text, Against] = {}
    beats_controls: StrictBool | None

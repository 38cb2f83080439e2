"""What a comparison of methods left in results.json, as frozen dataclasses, and reading it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from icl_vectors.report.parse import accuracy_of, count_of, number_of, parse_each, text_of
from icl_vectors.scoring import Accuracy

REGULAR, ZERO_SHOT = "regular", "zero-shot"


@dataclass(frozen=True)
class Compared:
    """One method or control on one task.

    Attributes:
        of: the method whose control this is, or "".
        condition: the arrow or the number of shots, where the entry is of such a table.
        layer_tokens: of the vectors and the answers.
    """

    task: str
    category: str
    method: str
    of: str
    accuracy: Accuracy
    log_probability: float
    rank: float
    total_variation: float
    divergence: float
    layer_tokens: int = 0
    condition: str = ""
    choice: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Against:
    """A method beside another on the same prompts: where they differ, and McNemar's exact p."""

    other: str
    accuracy: float
    won: int
    lost: int
    p: float


@dataclass(frozen=True)
class MethodSummary:
    """A method over all tasks.

    Attributes:
        beats_controls: None where it has none.
    """

    method: str
    accuracy: float
    n: int
    n_tasks: int
    layer_tokens: int
    choosing: int
    ranking: int
    seconds: float
    jobs: int
    against: tuple[Against, ...]
    beats_controls: bool | None


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


def read_comparison(results: Mapping[str, Any], lacking: list[str]) -> Comparison | None:
    """The comparison of results.json, as far as it can be read; None where there is none."""
    if "compare" not in results:
        return None
    return Comparison(
        entries=parse_each(results["compare"], _compared, "compare", lacking),
        summary=parse_each(results.get("compare_summary"), _summary, "compare_summary", lacking),
        arrows=parse_each(results.get("compare_arrows"), _compared, "compare_arrows", lacking),
        shots=parse_each(results.get("compare_shots"), _compared, "compare_shots", lacking),
    )


def _compared(value: Mapping[str, Any]) -> Compared:
    condition = value.get("arrow", value.get("shots", ""))
    return Compared(
        task=text_of(value["task"]),
        category=text_of(value.get("category") or "user"),
        method=text_of(value["method"]),
        of=text_of(value.get("of", "")),
        accuracy=accuracy_of(value, count_of(value["n"])),
        log_probability=number_of(value["log_probability"]),
        rank=number_of(value["rank"]),
        total_variation=number_of(value["total_variation"]),
        divergence=number_of(value["divergence"]),
        layer_tokens=count_of(value.get("layer_tokens", 0)),
        condition=str(condition) if isinstance(condition, str | int) else "",
        choice=dict(value.get("choice") or {}),
    )


def _summary(value: Mapping[str, Any]) -> MethodSummary:
    beats = value["beats_controls"]
    return MethodSummary(
        method=text_of(value["method"]),
        accuracy=number_of(value["accuracy"]),
        n=count_of(value["n"]),
        n_tasks=count_of(value["n_tasks"]),
        layer_tokens=count_of(value["layer_tokens"]),
        choosing=count_of(value["layer_tokens_choosing"]),
        ranking=count_of(value.get("ranking", 0)),
        seconds=number_of(value["seconds"]),
        jobs=count_of(value.get("jobs", 0)),
        against=tuple(
            Against(
                text_of(other),
                number_of(one["accuracy"]),
                count_of(one["won"]),
                count_of(one["lost"]),
                number_of(one["p"]),
            )
            for other, one in value["against"].items()
        ),
        beats_controls=None if beats is None else bool(beats),
    )

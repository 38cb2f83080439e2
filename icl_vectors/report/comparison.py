"""What a comparison of methods found, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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

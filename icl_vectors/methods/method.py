"""What a method is, to the harness that compares methods."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Candidate: TypeAlias = tuple[float | int, ...]  # one choice of a method's hyper-parameters


@dataclass(frozen=True)
class Method:
    """One way to find a task and to inject it.

    The four functions run inside a session. `at` holds envoys and what they are like, see
    `hook_points`; vectors begin with the axis of the prompts and end with that of the hidden units.

    Attributes:
        read: (model, at, batch) → activations at the arrows, (prompt, …).
        make: (model, at, activations) → the vectors, (prompt, …, hidden). Where there is a `fit`,
            that is a pair: what was fitted, and what was read of the prompts that get the vectors.
        start: (model, at, batch) → what of the prompts is run once, before anything is injected.
        inject: (model, at, batch, started, vectors, candidates) → logits, (prompt, candidate,
            vocab).
        candidates: (layers, options) → groups of choices for dev, in the order that ties fall.
        names: of the hyper-parameters of a candidate.
        inputs: what it needs of a batch beyond the demonstrations, dummies and query; `taught` of
            its contexts, see `prepare.add_taught`.
        pooled: vectors are averaged over the contexts of the dev prompts, else each prompt has its
            own.
        slots: whether each prompt gets one vector for every arrow of its prompt.
        attention: whether it reads the blocks' attention.
        heads: whether it needs the ranking of the attention heads.
        fit: (model, at, contexts, progress) → what is fitted on the first half of dev, the
            choice then being made on the other half; `at["candidates"]` are those asked for.
            None: contexts are averaged, or not read.
        fit_cost: (batch, candidates, number of blocks) → layer-tokens of fitting on one batch.
        gradients: whether fitting needs gradients, which a server is not asked for.
        mode: how a vector that was kept is injected: "replace" or "add" at one block.
        title, source: for readers; the paper.
        cost: (batch, candidates, number of blocks) → layer-tokens of reading one batch, of
            starting, and of injecting the candidates.
    """

    name: str
    read: Callable[..., Any]
    make: Callable[..., Any]
    start: Callable[..., Any]
    inject: Callable[..., Any]
    candidates: Callable[[Sequence[int], Mapping[str, Any]], list[list[Candidate]]]
    names: tuple[str, ...]
    cost: Callable[[Mapping[str, Any], Sequence[Candidate], int], tuple[int, int, int]]
    inputs: tuple[str, ...] = ()
    pooled: bool = False
    slots: bool = False
    attention: bool = False
    heads: bool = False
    fit: Callable[..., Any] | None = None
    fit_cost: Callable[[Mapping[str, Any], Sequence[Candidate], int], int] | None = None
    gradients: bool = False
    mode: str = "replace"
    title: str = ""
    source: str = ""


def by_layers(
    layers: Sequence[int], group: int, options: Sequence[float | int | None] = (None,)
) -> list[list[Candidate]]:
    """Candidates (layer, option), lowest layers first, those of `group` layers together."""
    ordered = sorted(layers)
    return [
        [
            (layer,) if option is None else (layer, option)
            for layer in ordered[start : start + group]
            for option in options
        ]
        for start in range(0, len(ordered), group)
    ]


def as_made(model: Any, at: dict[str, Any], activations: Any) -> Any:
    """The activations are the vectors."""
    return activations


def nothing(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> None:
    """Nothing of the prompts need be run before something is injected."""

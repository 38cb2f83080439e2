"""One state at the arrow (Hendel et al. 2023, arXiv 2310.15916): replaced, averaged, added.

state            θ of the prompt's own demonstrations replaces the output of a block
state-mean       the mean θ of many contexts does
state-mean-add   the mean θ of many contexts is added to the output of a block
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from icl_vectors.graph.passes import apply_theta, read_query
from icl_vectors.graph.read import read_dummies, start_plain
from icl_vectors.methods.cost import cost_of_adding, cost_of_replacing
from icl_vectors.methods.method import Candidate, Method, as_made, by_layers

GROUP = 3  # layers injected in one trace


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """θ, the mean over the dummies of the states at their arrows, (prompt, layer, hidden)."""
    return read_dummies(model, at, batch, "state").mean(1)


def replace(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    before: dict[str, Any],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """The state of the query's arrow at a block becomes θ."""
    layers = [candidate[0] for candidate in candidates]
    theta = vectors[:, layers].to(at["like"])  # (prompt, candidate, hidden)
    return apply_theta(model, at, batch, before, theta, layers)


def add(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    started: tuple[dict[str, Any], Tensor],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """θ is added to the state of the query's arrow: the state becomes itself plus θ."""
    layers = [candidate[0] for candidate in candidates]
    before, states = started
    theta = states[:, layers] + vectors[:, layers].to(at["like"])
    return apply_theta(model, at, batch, before, theta, layers)


def every_layer(layers: Sequence[int], options: Mapping[str, Any]) -> list[list[Candidate]]:
    """One candidate a block."""
    return by_layers(layers, GROUP)


STATE = Method(
    name="state",
    title="θ of the prompt's own demonstrations, replaced",
    source="Hendel et al. 2023, arXiv 2310.15916",
    read=read,
    make=as_made,
    start=read_query,
    inject=replace,
    cost=cost_of_replacing,
    candidates=every_layer,
    names=("layer",),
)
STATE_MEAN = Method(
    name="state-mean",
    title="mean θ of the dev prompts' contexts, replaced",
    source="Hendel et al. 2023, arXiv 2310.15916 (the authors' multi-context variant)",
    read=read,
    make=as_made,
    start=read_query,
    inject=replace,
    cost=cost_of_replacing,
    candidates=every_layer,
    names=("layer",),
    pooled=True,
)
STATE_MEAN_ADD = Method(
    name="state-mean-add",
    mode="add",
    title="mean θ of the dev prompts' contexts, added",
    source="Hendel et al. 2023, arXiv 2310.15916, added as in Todd et al. 2023",
    read=read,
    make=as_made,
    start=start_plain,
    inject=add,
    cost=cost_of_adding,
    candidates=every_layer,
    names=("layer",),
    pooled=True,
)

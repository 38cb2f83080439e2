"""Linear task vectors (after Kwon et al. 2026, arXiv 2605.20730): what demonstrations do, as a map.

    demonstrations ↵ query→   state h* of the arrow    ┐
                                                       ├ h* − h ≈ mean + W (h − mean h)
                     query→   state h of the arrow     ┘

A ridge regression over the contexts, at every block, closed-form; at the arrow of another query
the difference that it estimates is added to the state, so that the next-token distribution comes
near to that of in-context learning. The paper's text could not be read in full: see docs/methods.md
for what was built and why. W is never formed: n contexts give a map of rank n − 1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import apply_theta, read_arrows
from icl_vectors.graph.read import start_plain
from icl_vectors.methods.cost import cost_of_linear, cost_of_regression
from icl_vectors.methods.method import Candidate, Method, by_layers

GROUP = 3  # layers injected in one trace
RIDGES = (10.0, 1.0, 0.1)  # of the mean variance that the contexts' states have along one another


def read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> Tensor:
    """The states of the query's arrow without demonstrations, (prompt, layer, hidden)."""
    return start_plain(model, at, batch)[1].float()


def fit(
    model: Any,
    at: dict[str, Any],
    contexts: Sequence[dict[str, Any]],
    progress: Callable[[str, int], None] | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The regression in its dual form.

    Returns:
        The contexts' mean state and mean difference, (layer, hidden) each; their states less the
        mean, (layer, context, hidden); what each counts for, (ridge, layer, context, hidden).
    """
    plain = torch.cat([read(model, at, batch) for batch in contexts])  # (context, layer, hidden)
    shown = torch.cat([read_arrows(model, at, batch["whole"]).float() for batch in contexts])
    effects = shown.to(plain.device) - plain
    centre, effect = plain.mean(0), effects.mean(0)
    own, other = (plain - centre).transpose(0, 1), (effects - effect).transpose(0, 1)
    products = (own @ own.mT).double()  # (layer, context, context)
    variance = products.diagonal(0, 1, 2).mean(-1).clamp(min=1e-12)[:, None, None]
    unit = torch.eye(len(plain), dtype=products.dtype, device=products.device)
    found = [
        torch.linalg.solve(products + ridge * variance * unit, other.double()).float()
        for ridge in RIDGES
    ]
    if progress is not None:
        progress("fit", len(at["candidates"]))
    return centre, effect, own, torch.stack(found)


def make(
    model: Any,
    at: dict[str, Any],
    activations: tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """The difference that is estimated for each query, (prompt, ridge, layer, hidden)."""
    (centre, effect, own, counts), states = activations
    alike = torch.einsum("plh,lch->plc", states - centre, own)  # (prompt, layer, context)
    return effect + torch.einsum("plc,rlch->prlh", alike, counts)


def inject(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    started: tuple[dict[str, Any], Tensor],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """The estimated difference is added to the state of the query's arrow at one block."""
    layers = [layer for layer, _ in candidates]
    ridges = [RIDGES.index(ridge) for _, ridge in candidates]
    before, states = started
    theta = states[:, layers] + vectors[:, ridges, layers].to(at["like"])
    return apply_theta(model, at, batch, before, theta, layers)


def every_layer_and_ridge(
    layers: Sequence[int], options: Mapping[str, Any]
) -> list[list[Candidate]]:
    """A block and how strongly the map is held to the mean difference; the strongest first."""
    return by_layers(layers, GROUP, RIDGES)


LINEAR = Method(
    name="linear",
    mode="add",
    title="what demonstrations do to the state, by linear regression, added",
    source="after Kwon et al. 2026, arXiv 2605.20730",
    read=read,
    make=make,
    start=start_plain,
    inject=inject,
    cost=cost_of_linear,
    candidates=every_layer_and_ridge,
    names=("layer", "ridge"),
    pooled=True,
    fit=fit,
    fit_cost=cost_of_regression,
)

"""Learned task vectors (Yang et al. 2025, arXiv 2509.24169): θ is trained, not extracted.

    query→        the state of the arrow at block ℓ becomes θ       … answer
                               ▲                                        │
                               └── ∂ −log P(answer) / ∂θ, Adam ─────────┘

θ begins as the mean θ of the contexts and is trained on every pair that they show, each asked
without demonstrations; the weights are frozen. What is gained over the mean θ is what extraction
missed; what is then still missing to in-context learning, one vector at one place does not give.

The paper adds its vector to the state; here it replaces the state as `state-mean` does, which it
is compared with.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import apply_theta, read_query
from icl_vectors.graph.read import read_dummies
from icl_vectors.methods.cost import cost_of_learned, cost_of_training
from icl_vectors.methods.method import Candidate, Method, by_layers

GROUP = 3  # layers injected in one trace on dev
RATES = (0.003, 0.01)  # Adam's step in a coordinate, in the root mean square of the first θ
STEPS = (5, 10)
DECAYS = (0.9, 0.999)  # of Adam's two means
OPTIONS = tuple((rate, steps) for rate in RATES for steps in STEPS)


def nothing_read(model: Any, at: dict[str, Any], batch: dict[str, Any]) -> int:
    """Every prompt gets the same vectors; how many prompts there are."""
    prompts: int = batch["prompts"]
    return prompts


def fit(
    model: Any,
    at: dict[str, Any],
    contexts: Sequence[dict[str, Any]],
    progress: Callable[[str, int], None] | None,
) -> Tensor:
    """θ at every block after every option's training, (option, layer, hidden).

    Only blocks and rates of `at["candidates"]` are trained; elsewhere the first θ stands.
    """
    thetas = [read_dummies(model, at, batch, "state").mean(1) for batch in contexts]
    first = torch.cat(thetas).mean(0)  # (layer, hidden)
    found = first.repeat(len(OPTIONS), 1, 1)  # (option, layer, hidden)
    pairs = [one for batch in contexts for one in batch.get("taught", [])]
    before = [read_query(model, at, batch) for batch in pairs]
    weights = [weight for weight in model._module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        for layer in sorted({candidate[0] for candidate in at["candidates"]}):
            asked = [one[1:] for one in at["candidates"] if one[0] == layer]
            for option, theta in train(model, at, pairs, before, first[layer], layer, asked):
                found[OPTIONS.index(option), layer] = theta
            if progress is not None:
                progress("fit", len(asked))
    finally:
        for weight in weights:
            weight.requires_grad_(True)
    return found


def train(
    model: Any,
    at: dict[str, Any],
    pairs: Sequence[dict[str, Any]],
    before: Sequence[dict[str, Any]],
    first: Tensor,
    layer: int,
    asked: Sequence[tuple[float, int]],
) -> list[tuple[tuple[float, int], Tensor]]:
    """θ at one block for the rates and steps that are asked for, all rates in one trace.

    Adam (Kingma & Ba 2015) on the mean over all pairs, without drawing any: the same every time.
    """
    rates = sorted({rate for rate, _ in asked})
    theta = first.repeat(len(rates), 1)  # (rate, hidden)
    size = first.pow(2).mean().sqrt() * torch.tensor(rates, device=first.device)[:, None]
    mean, square = torch.zeros_like(theta), torch.zeros_like(theta)
    found = []
    for step in range(1, max(steps for _, steps in asked) + 1):
        slope = gradient(model, at, pairs, before, theta, layer)  # (rate, hidden)
        mean = DECAYS[0] * mean + (1 - DECAYS[0]) * slope
        square = DECAYS[1] * square + (1 - DECAYS[1]) * slope.pow(2)
        unbiased = (square / (1 - DECAYS[1] ** step)).sqrt() + 1e-12
        theta = theta - size * mean / (1 - DECAYS[0] ** step) / unbiased
        found += [
            ((rate, step), theta[rates.index(rate)]) for rate, at_step in asked if at_step == step
        ]
    return found


def gradient(
    model: Any,
    at: dict[str, Any],
    pairs: Sequence[dict[str, Any]],
    before: Sequence[dict[str, Any]],
    theta: Tensor,
    layer: int,
) -> Tensor:
    """∂ mean −log P(accepted first tokens) / ∂θ, (rate, hidden), float32.

    Each pair has a row of its own, so that the sum does not depend on the batches.
    """
    slopes: list[Tensor] = []
    for batch, past in zip(pairs, before, strict=True):
        with torch.enable_grad():
            rows = theta.repeat(batch["prompts"], 1, 1).requires_grad_()  # (pair, rate, hidden)
            logits = apply_theta(model, at, batch, past, rows.to(at["like"]), [layer] * len(theta))
            accepted = batch["accepted"].to(logits.device)[:, None]  # (pair, 1, answer)
            scores = logits.float().log_softmax(-1)
            scores = scores.gather(-1, accepted.clamp(min=0).expand(-1, len(theta), -1))
            right = scores.masked_fill(accepted < 0, -torch.inf).logsumexp(-1)  # (pair, rate)
            slopes += torch.autograd.grad(-right.sum(), rows)
    return torch.cat(slopes).double().mean(0).float()


def make(model: Any, at: dict[str, Any], activations: tuple[Tensor, int]) -> Tensor:
    """The trained vectors, the same for every prompt, (prompt, option, layer, hidden)."""
    fitted, prompts = activations
    return fitted.expand(prompts, *fitted.shape)


def inject(
    model: Any,
    at: dict[str, Any],
    batch: dict[str, Any],
    before: dict[str, Any],
    vectors: Tensor,
    candidates: list[Any],
) -> Tensor:
    """The state of the query's arrow at a block becomes θ."""
    layers = [candidate[0] for candidate in candidates]
    options = [OPTIONS.index(tuple(candidate[1:])) for candidate in candidates]
    theta = vectors[:, options, layers].to(at["like"])  # (prompt, candidate, hidden)
    return apply_theta(model, at, batch, before, theta, layers)


def every_layer_rate_and_steps(
    layers: Sequence[int], options: Mapping[str, Any]
) -> list[list[Candidate]]:
    """A block, a rate and a number of steps; the smaller ones first."""
    return [
        [(layer, *option) for (layer,) in group for option in OPTIONS]
        for group in by_layers(layers, GROUP)
    ]


LEARNED = Method(
    name="learned",
    title="θ trained on half of the dev prompts' queries, replaced",
    source="Yang et al. 2025, arXiv 2509.24169",
    read=nothing_read,
    make=make,
    start=read_query,
    inject=inject,
    cost=cost_of_learned,
    candidates=every_layer_rate_and_steps,
    names=("layer", "rate", "steps"),
    inputs=("taught",),
    pooled=True,
    fit=fit,
    fit_cost=cost_of_training,
    gradients=True,
)

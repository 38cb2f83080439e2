"""A session that injects given θ into queries: θ of one precision into a model of another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import apply_theta, read_query
from icl_vectors.graph.read import probe_blocks
from icl_vectors.prompts.batches import Batch

if TYPE_CHECKING:
    from icl_vectors.models.load import Model


def run_injection(
    model: "Model",
    batches: Sequence[Batch],
    thetas: Mapping[str, Float[Tensor, "prompt hidden"]],
    layer: int,
) -> tuple[dict[str, Int[Tensor, " prompt"]], bool]:
    """The tokens answered to each query alone, each giver's θ injected at one block.

    Args:
        thetas: by giver, one θ a prompt, in the order of the batches.

    Returns:
        The answers by giver, and whether all logits were finite.
    """
    nnsight, at = model.nnsight, hook_points(model)
    with model.session():
        with torch.no_grad():
            answers: dict[str, list[Tensor]] = {giver: [] for giver in thetas}
            at = probe_blocks(nnsight, at, batches[0])
            fine, start = [], 0
            for batch in batches:
                before = read_query(nnsight, at, batch)
                end = start + batch["prompts"]
                for giver, given in thetas.items():
                    theta = given[start:end, None].to(at["like"])  # (prompt, 1, hidden)
                    logits = apply_theta(nnsight, at, batch, before, theta, [layer])
                    largest = logits[:, 0].max(-1)  # (prompt,)
                    answers[giver].append(largest.indices.cpu())
                    fine.append(largest.values.isfinite().all())
                start = end
            found: Any = {
                "answers": {giver: torch.cat(parts) for giver, parts in answers.items()},
                "finite": torch.stack(fine).all().cpu(),
            }
            found = found.save()
    return dict(found["answers"]), bool(found["finite"])

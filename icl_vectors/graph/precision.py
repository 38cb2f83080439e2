"""A session that puts given θ into queries: θ of one precision into a model of another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icl_vectors.graph.passes import apply_theta, read_query
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
    language_model, blocks, head = model.nnsight, model.blocks, model.head
    with model.session():
        with torch.no_grad():
            answers: dict[str, list[Tensor]] = {giver: [] for giver in thetas}
            fine, start = [], 0
            for batch in batches:
                one = {"input_ids": batch["arrow"][0]["inputs"]["input_ids"]}
                with language_model.trace(one, use_cache=False):
                    output = blocks[layer].output
                    in_tuple = isinstance(output, tuple)
                    like = output[0] if in_tuple else output  # this model's dtype and device
                before = read_query(language_model, head, batch)
                end = start + batch["prompts"]
                for giver, given in thetas.items():
                    theta = given[start:end, None].to(like)  # (prompt, 1, hidden)
                    logits = apply_theta(
                        language_model, blocks, head, batch, before, theta, [layer], in_tuple
                    )
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

"""Answers of many tokens as one nnsight session: regular, baseline, and with θ injected.

The body of the session holds nothing but tensors, plain Python, nnsight's calls and `passes`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from icl_vectors.graph.generate import write_answers
from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import read_theta_at
from icl_vectors.prompts.batches import Batch, Part
from icl_vectors.remote.job import Job
from icl_vectors.remote.shapes import require_shapes

if TYPE_CHECKING:
    from icl_vectors.models.load import Model

METHODS = ("regular", "baseline", "hypothesis")


def run_answers(
    model: "Model",
    batches: Sequence[Batch],
    whole: Sequence[list[Part]],
    alone: Sequence[list[Part]],
    layer: int,
    steps: int,
    ends: tuple[int, ...] = (),
    job: Job | None = None,
) -> dict[str, Any]:
    """Greedy answers of at most `steps` tokens to each prompt of some batches.

    Args:
        batches: without their queries: the prompts' θ are read from the dummies.
        whole: for each batch, model inputs of demonstrations and query, left-padded.
        alone: for each batch, model inputs of the query without demonstrations, left-padded.
        layer: the block where each prompt's own θ replaces the output at the arrow.
        ends: token ids that end an answer.

    Returns:
        regular, baseline, hypothesis: the tokens, padded with −1, (prompt, step); and finite:
        whether all logits after the arrows were.
    """
    nnsight, at = model.nnsight, hook_points(model)
    with model.session(job):
        with torch.no_grad():
            written: dict[str, Any] = {"regular": [], "baseline": [], "hypothesis": []}
            fine = []
            for batch, prompts, queries in zip(batches, whole, alone, strict=True):
                theta = read_theta_at(nnsight, at, batch, [layer])[:, 0]
                ways: tuple[tuple[str, list[Part], dict[int, Tensor]], ...] = (
                    ("regular", prompts, {}),
                    ("baseline", queries, {}),
                    ("hypothesis", queries, {layer: theta}),
                )
                for name, inputs, injected in ways:
                    tokens, logits = write_answers(
                        nnsight, at, inputs, injected, steps, "replace", ends
                    )
                    written[name].append(tokens)  # (prompt, step)
                    fine.append(logits.max(-1).values.isfinite().all().cpu())
            found: Any = {name: torch.cat(tokens) for name, tokens in written.items()}
            found["finite"] = torch.stack(fine).all()
            found = found.save()
    prompts = sum(batch["prompts"] for batch in batches)
    require_shapes(found, {name: (prompts, steps) for name in METHODS}, job)
    return dict(found)

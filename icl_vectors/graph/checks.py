"""The checks of a model as one nnsight session: what differs that should not, and the reverse.

The body of the session holds nothing but tensors, plain Python, nnsight's calls and `passes`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import (
    apply_theta,
    largest_difference,
    read_arrow,
    read_query,
    read_theta,
    read_whole,
)
from icl_vectors.graph.read import probe_blocks
from icl_vectors.graph.task import NO_INJECTION
from icl_vectors.prompts.batches import Batch, Part
from icl_vectors.remote.job import Job
from icl_vectors.remote.shapes import require_shapes

if TYPE_CHECKING:
    from icl_vectors.models.load import Model


def run_checks(
    model: "Model",
    together: Batch,
    apart: Sequence[Batch],
    whole: Sequence[tuple[list[Part], list[Part]]],
    groups: Sequence[Sequence[int]],
    job: Job | None = None,
) -> dict[str, Any]:
    """Some prompts in every way that the experiments run them, compared.

    Args:
        together: the prompts in one batch.
        apart: the same prompts, a batch each.
        whole: for each prompt the model inputs of demonstrations and query, and of the query
            alone, each in one piece.
        groups: layers that are injected together: as in a sweep, where the blocks below the lowest
            are not run, and beside a row without injection, where all blocks are.

    Returns:
        Largest differences of logits, float32. own: with and without each block's own state put
        back, (way × candidate,); changed: with and without θ, all blocks run, (layer,); batched:
        together and apart, (prompt,); uncached: on the cache and in one piece, (prompt,). spread:
        the largest logit less the smallest, (1,).
    """
    nnsight, at = model.nnsight, hook_points(model)
    of_sweep = [list(group) for group in groups]
    beside_none = [[NO_INJECTION, *group] for group in of_sweep]
    last = beside_none[-1]
    with model.session(job):
        with torch.no_grad():
            at = probe_blocks(nnsight, at, together)
            theta, logits = read_theta(nnsight, at, together)
            before = read_query(nnsight, at, together)
            own, changed, put = [], [], logits
            for way in [*of_sweep, *beside_none]:
                states, plain = read_arrow(nnsight, at, together, before, way)
                back = apply_theta(nnsight, at, together, before, states[:, way], way)
                own.append(largest_difference(back, plain))
                if way[0] == NO_INJECTION:
                    put = apply_theta(nnsight, at, together, before, theta[:, way], way)
                    changed.append(largest_difference(put, plain)[1:])

            batched, uncached = [], []
            for row, one in enumerate(apart):
                own_theta, own_logits = read_theta(nnsight, at, one)
                before = read_query(nnsight, at, one)
                own_put = apply_theta(nnsight, at, one, before, own_theta[:, last], last)
                everything = torch.cat([own_logits, own_put.to(own_logits.device)], 1)
                of_batch = [logits[row : row + 1], put[row : row + 1].to(logits.device)]
                batched.append(largest_difference(everything, torch.cat(of_batch, 1)).max())
                regular = read_whole(nnsight, at, whole[row][0])[:, None]
                baseline = read_whole(nnsight, at, whole[row][1])[:, None]
                in_one_piece = torch.cat([regular, baseline], 1)  # (1, 2, vocab)
                cached = [own_logits[:, :1], own_put[:, :1].to(own_logits.device)]
                uncached.append(largest_difference(in_one_piece, torch.cat(cached, 1)).max())
            highest, lowest = logits.float().amax(-1), logits.float().amin(-1)
            found: Any = {
                "own": torch.cat(own),
                "changed": torch.cat(changed),
                "batched": torch.stack(batched),
                "uncached": torch.stack(uncached),
                "spread": (highest - lowest).mean()[None].cpu(),
            }
            found = found.save()
    prompts, layers = len(apart), sum(map(len, of_sweep))
    shapes: dict[str, tuple[int, ...]] = {"own": (2 * layers + len(of_sweep),)}
    shapes |= {"changed": (layers,), "spread": (1,), "batched": (prompts,), "uncached": (prompts,)}
    require_shapes(found, shapes, job)
    return dict(found)

"""One method on one task as one nnsight session, whatever the method.

    dev    for every prompt: what the method reads, its vectors, injected at every candidate
           → the candidate with most right answers
    test   for every prompt: the regular answer, and the method's (and its controls') beside it

The body of the sessions holds nothing but tensors, plain Python, nnsight's calls, `passes` and the
methods' own functions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.labels import answer_injected, likeliest, rest_of, right_of
from icl_vectors.graph.read import probe_blocks
from icl_vectors.methods.function import indirect_effects
from icl_vectors.methods.harness import (
    answer_whole,
    measure,
    pooled,
    uses_own,
    vectors_for,
    vectors_of,
)
from icl_vectors.methods.method import Candidate, Method
from icl_vectors.models.model import Model
from icl_vectors.prompts.batches import Batch
from icl_vectors.remote.job import Job
from icl_vectors.remote.shapes import require_shapes

Progress = Callable[[str, int], None]
MEASURES = ("answer", "log_probability", "rank", "total_variation", "divergence", "token")


class Batches(NamedTuple):
    """The prompts of one method on one task.

    Attributes:
        contexts: what pooled methods average over, or are fitted on.
        dev: none where nothing is to be chosen: there is one candidate then.
    """

    contexts: Sequence[Batch]
    dev: Sequence[Batch]
    test: Sequence[Batch]


def run_method(
    model: Model,
    method: Method,
    settings: dict[str, Any],
    batches: Batches,
    groups: Sequence[list[Candidate]],
    variants: Sequence[dict[str, Any]],
    progress: Progress | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """The choice on dev, and on test the method's answers beside the regular ones.

    Args:
        settings: what the method needs to know (`ranked` heads, `counts` of heads).
        groups: of candidates that are injected in one trace.
        variants: each a way to get vectors for the test prompts, with the keys
            contexts: other batches to pool, or None: those above; reads: other batches to read
            from, or None: the test's own; puts: batches of the same prompts to inject, or None;
            given: vectors (…, hidden) in place of the method's own, or None; noise: a seed, to
            replace vectors by random ones of the same norms, or None.

    Returns:
        dev: tokens answered on dev, (prompt, candidate); chosen: index of the candidate, ties to
        the first; regular and one entry a variant, each with answer, log_probability and rank of
        the likeliest accepted token, total_variation and divergence (KL) from the regular
        distribution, and the likeliest token, (prompt,) each; vectors: mean over the test prompts,
        (…, hidden); finite.
    """
    contexts, dev, test = batches
    candidates = [candidate for group in groups for candidate in group]
    at = {**hook_points(model, method.attention), **settings, "candidates": candidates}
    nnsight, is_pooled, fit = model.nnsight, method.pooled, method.fit
    read, make, start, inject = method.read, method.make, method.start, method.inject
    progress = progress if model.host is None else None

    with model.session(job):
        with torch.no_grad():
            fine: list[Any] = []
            at = probe_blocks(nnsight, at, (dev or test)[0])
            pool = pooled(read, fit, nnsight, at, contexts, progress) if is_pooled else None

            dev_answers = []
            hits = torch.zeros(len(candidates), dtype=torch.long)
            for batch in dev:
                vectors = vectors_for(read, make, nnsight, at, batch, pool)
                started = start(nnsight, at, batch)
                answers = []
                for group in groups:
                    logits = inject(nnsight, at, batch, started, vectors, group)
                    rest = rest_of(
                        answer_injected, nnsight, at, batch, start, inject, vectors, group
                    )
                    answered, largest = likeliest(logits, batch, rest)
                    answers.append(answered)  # (prompt, candidate of the group)
                    fine.append(largest.values.isfinite().all().cpu())
                tokens = torch.cat(answers, 1)  # (prompt, candidate)
                right = (tokens[:, :, None] == right_of(batch)[:, None]).any(-1)
                hits = hits + right.sum(0)
                dev_answers.append(tokens)
                if progress is not None:
                    progress("dev", batch["prompts"])
            chosen = hits.tolist().index(int(hits.max()))
            choice = [candidates[chosen]]

            measured: list[list[Any]] = [[] for _ in [None, *variants]]
            sums: list[Any] = []
            pools = [
                pool
                if variant["contexts"] is None
                else pooled(read, fit, nnsight, at, variant["contexts"], progress)
                for variant in variants
            ]
            needs_own = any(uses_own(variant) for variant in variants)
            for number, batch in enumerate(test):
                regular = answer_whole(nnsight, at, batch)  # (prompt, 1, vocab)
                rest = rest_of(answer_whole, nnsight, at, batch)
                measured[0].append(measure(regular, regular, batch, rest))
                own = vectors_for(read, make, nnsight, at, batch, pool) if needs_own else None
                for index, variant in enumerate(variants):
                    vectors = vectors_of(
                        variant, number, read, make, nnsight, at, batch, pools[index], own
                    )
                    put = batch if variant["puts"] is None else variant["puts"][number]
                    started = start(nnsight, at, put)
                    logits = inject(nnsight, at, put, started, vectors, choice)
                    rest = rest_of(
                        answer_injected, nnsight, at, put, start, inject, vectors, choice
                    )
                    measured[index + 1].append(measure(logits, regular, put, rest))
                    if index == 0:
                        sums.append(vectors.float().sum(0).cpu())
                if progress is not None:
                    progress("test", batch["prompts"])
            found: Any = {
                "dev": torch.cat(dev_answers) if dev_answers else torch.empty(0),
                "chosen": chosen,
                "measured": [
                    [torch.cat(part) for part in zip(*one, strict=True)] for one in measured
                ],
                "vectors": torch.stack(sums).sum(0) / sum(batch["prompts"] for batch in test),
                "finite": torch.stack(fine).all() if fine else torch.tensor(True),
            }
            found = found.save()
    prompts = sum(batch["prompts"] for batch in test)
    for one in found["measured"]:
        require_shapes(
            dict(zip(MEASURES, one, strict=True)), dict.fromkeys(MEASURES, (prompts,)), job
        )
    return dict(found)


def run_vectors(
    model: Model,
    method: Method,
    settings: dict[str, Any],
    batches: Sequence[Batch],
    job: Job | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """A method's vectors of each prompt, float32, (prompt, …, hidden)."""
    nnsight, at = model.nnsight, {**hook_points(model, method.attention), **settings}
    read, make, is_pooled, fit = method.read, method.make, method.pooled, method.fit
    progress = progress if model.host is None else None
    with model.session(job):
        with torch.no_grad():
            at = probe_blocks(nnsight, at, batches[0])
            pool = pooled(read, fit, nnsight, at, batches, progress) if is_pooled else None
            parts = [
                vectors_for(read, make, nnsight, at, batch, pool).float().cpu() for batch in batches
            ]
            found: Any = {"vectors": torch.cat(parts)}
            found = found.save()
    prompts = sum(batch["prompts"] for batch in batches)
    vectors: Tensor = found["vectors"]
    first = {"vectors": vectors.flatten(1, -2)[:, 0]}  # what lies between is the method's own
    require_shapes(first, {"vectors": (prompts, model.hidden)}, job)
    return vectors


def run_ranking(
    model: Model,
    contexts: Sequence[Batch],
    corrupted: Sequence[Batch],
    method: Method,
    progress: Progress | None = None,
    job: Job | None = None,
) -> Tensor:
    """Indirect effect of every head (Todd et al. 2023), (prompt, layer, head).

    Args:
        contexts: sound prompts, whose heads are averaged.
        corrupted: prompts with shuffled answers, "alone" up to their arrow, with their `mix`.
    """
    nnsight, at, read = model.nnsight, hook_points(model, True), method.read
    progress = progress if model.host is None else None
    with model.session(job):
        with torch.no_grad():
            at = probe_blocks(nnsight, at, corrupted[0])
            pool = pooled(read, None, nnsight, at, contexts)  # (context, 2, layer, width)
            effects = []
            for batch in corrupted:
                means = torch.einsum("psc,clw->plw", batch["mix"].to(pool), pool[:, 0])
                effects.append(indirect_effects(nnsight, at, batch, means).cpu())
                if progress is not None:
                    progress("heads", batch["prompts"])
            found: Any = {"effects": torch.cat(effects)}
            found = found.save()
    prompts = sum(batch["prompts"] for batch in corrupted)
    shape = (prompts, model.n_layers, model.n_heads)
    require_shapes(found, {"effects": shape}, job)
    effects_of_prompts: Tensor = found["effects"]
    return effects_of_prompts

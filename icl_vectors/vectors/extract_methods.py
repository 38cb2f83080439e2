"""Vectors of other methods than one state, to be kept and applied; see `icl_vectors.methods`."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.methods.function import FUNCTION
from icl_vectors.methods.learned import OPTIONS
from icl_vectors.methods.linear import RIDGES
from icl_vectors.methods.prepare import (
    Contexts,
    add_taught,
    corrupted_at_once,
    corrupted_prompts,
    method_batches,
    taught,
)
from icl_vectors.methods.registry import find_method
from icl_vectors.methods.session import run_ranking, run_vectors
from icl_vectors.methods.state_vector import FORMS
from icl_vectors.models.memory import choose_batch_size, with_smaller_batches
from icl_vectors.models.model import Model
from icl_vectors.models.probe import require_gradients
from icl_vectors.observer import Observer
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.template import Template
from icl_vectors.runs.ranking import RANKING_PROMPTS, best_first, read_ranking

SHARE_OF_HEADS = 10 / 448  # Todd et al. take 10 of GPT-J's 448
FEWEST_HEADS = 2
STRENGTH = 0.01  # of an in-context vector, in the size of the states of all layers
FORM = "inner"
LEARNED_BY = (0.003, 10)  # rate and steps of a learned vector
RIDGE = 1.0
FITTED: dict[str, tuple[float | int, ...]] = {"learned": LEARNED_BY, "linear": (RIDGE,)}
MethodVectors: TypeAlias = tuple[Tensor, int | None, str]  # (layer, hidden); its layer; how made


def vectors_by_method(
    model: Model,
    template: Template,
    method: str,
    encoded: Sequence[EncodedPrompt],
    heads: str | Path | None,
    layers: Sequence[int],
    observer: Observer,
) -> MethodVectors:
    """A method's mean vectors, (layer, hidden), their default layer, and how they were made.

    Args:
        layers: that will be kept; where something is fitted, it is fitted there.
    """
    settings, made_by = _settings(model, template, method, encoded, heads)
    chosen = find_method(method)
    if chosen.gradients:
        require_gradients(model, method)
    option = FITTED.get(method, ())
    settings |= {"candidates": [(layer, *option) for layer in layers]}

    def run(size: int) -> Tensor:
        contexts = Contexts(encoded) if chosen.pooled else None
        batches = method_batches(model, template, chosen, encoded, contexts, size, 0)
        for batch in batches if chosen.fit is None else ():  # no query: every context counts
            batch["mix"] = torch.full((batch["prompts"], 1, len(encoded)), 1 / len(encoded))
        if "taught" in chosen.inputs:
            add_taught(batches, model, template, taught([one.prompt for one in encoded]), size)
        done = count()

        def report(phase: str, candidates: int) -> None:
            for _ in range(candidates):
                observer.phase(method, 0, phase, next(done) + 1, len(layers))

        return run_vectors(model, chosen, settings, batches, progress=report)

    found = in_batches(run, model, encoded).float().mean(0)  # (…, hidden)
    if method == "function":  # one vector, the same wherever it is added
        return found[-1].expand(model.n_layers, -1).clone(), model.n_layers // 3, made_by
    if method == "icv":
        return found * STRENGTH, None, f"strength {STRENGTH}"
    if method == "state-vector":
        return found[FORMS.index(FORM)], model.n_layers // 2, f"form {FORM}"
    if method == "learned":
        rate, steps = LEARNED_BY
        return found[OPTIONS.index(LEARNED_BY)], None, f"rate {rate}, {steps} steps"
    if method == "linear":
        return found[RIDGES.index(RIDGE)], None, f"ridge {RIDGE}, the mean over the queries"
    if found.ndim != 2:
        raise IclVectorsError(
            f"method {method!r}: expected a vector for each block to keep, (layer, hidden), found "
            f"{tuple(found.shape)}; use it with `compare`."
        )
    return found, None, ""


def _settings(
    model: Model,
    template: Template,
    method: str,
    encoded: Sequence[EncodedPrompt],
    heads: str | Path | None,
) -> tuple[dict[str, Any], str]:
    """Which heads make a function vector: of a file, else those that do most on these prompts."""
    if method != "function":
        if heads is not None:
            raise IclVectorsError(f"heads with the method {method!r}: expected function.")
        return {}, ""
    total = model.n_layers * model.n_heads
    most = min(total, max(FEWEST_HEADS, round(total * SHARE_OF_HEADS)))
    known = read_ranking(heads, model.n_layers, model.n_heads)
    ranked = [one[:2] for one in known or best_first(_effects(model, template, encoded))]
    if len(ranked) < most:
        raise IclVectorsError(f"--heads {heads}: expected {most} heads, found {len(ranked)}.")
    named = ", ".join(f"{layer}.{head}" for layer, head in ranked[:most])
    return {"ranked": ranked, "counts": [most]}, f"heads {named}"


def _effects(model: Model, template: Template, encoded: Sequence[EncodedPrompt]) -> Tensor:
    whole = corrupted_prompts(model, template, encoded[:RANKING_PROMPTS])

    def run(size: int) -> Tensor:
        contexts, corrupted = (
            method_batches(model, template, FUNCTION, part, Contexts(encoded), rows, 0)
            for part, rows in ((encoded, size), (whole, corrupted_at_once(size, model.n_heads)))
        )
        return run_ranking(model, contexts, corrupted, FUNCTION)

    return in_batches(run, model, encoded).mean(0)


def in_batches(
    run: Callable[[int], Tensor], model: Model, encoded: Sequence[EncodedPrompt]
) -> Tensor:
    """What a session finds, called with the number of prompts at once that fit in memory."""
    return with_smaller_batches(run, choose_batch_size(model, encoded))[0]


def require_method(method: str) -> None:
    """Refuse methods of which no vector can be kept.

    Raises:
        IclVectorsError: an unknown method, or multi.
    """
    find_method(method)
    if method == "multi":
        raise IclVectorsError(
            "method 'multi': expected a method whose vectors can be kept; its vectors belong to "
            "the arrows of few-shot prompts. Use `icl-vectors compare --methods multi`."
        )


def require_task(method: str, prompts: int, drawn: bool) -> None:
    """Methods that average over contexts need a task to draw them from.

    Raises:
        IclVectorsError: one prompt alone, or demonstrations of one's own.
    """
    if find_method(method).pooled and (not drawn or prompts < 2):
        raise IclVectorsError(
            f"method {method!r}: expected a task and 2 prompts or more to average over, found "
            f"{'a task and one prompt' if drawn else 'demonstrations'}; give a Task and "
            "prompts=25 (--task or --task-file, --prompts 25)."
        )

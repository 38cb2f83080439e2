"""What a comparison would cost, from the prompts' lengths alone: layer-tokens and jobs a method."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from icl_vectors.cost.prompt_sizes import estimated_tokens
from icl_vectors.cost.work import PromptSize
from icl_vectors.experiments.compare.summary import cost_of
from icl_vectors.methods.cost import cost_of_ranking
from icl_vectors.methods.function import FUNCTION, counts_of
from icl_vectors.methods.method import Method
from icl_vectors.methods.plain import REGULAR, ZERO_SHOT
from icl_vectors.methods.prepare import corrupted_at_once, prompts_at_once
from icl_vectors.methods.ranking import RANKING_PROMPTS
from icl_vectors.prompts.encoding import encode_plain
from icl_vectors.prompts.sampling import Prompt

Sized = tuple[Prompt, PromptSize]


def costs_of_methods(
    methods: Sequence[Method],
    tasks: Sequence[tuple[Sequence[Sized], Sequence[Sized]]],
    *,
    tokenizer: Any | None,
    layers: Sequence[int],
    n_layers: int,
    n_heads: int,
    batch_size: int,
    ranks_heads: bool,
    with_variants: bool,
    cached: bool = True,
) -> list[dict[str, Any]]:
    """For regular, zero-shot and each method: layer-tokens over all tasks, and jobs on a server.

    The layer that dev will choose is not known: answers on test are computed at the lowest one, so
    that `layer_tokens` is what they take at most. Controls, other arrows and shots are not counted
    but for their jobs.

    Args:
        tasks: dev and test prompts of each task, with their lengths.
        tokenizer: None where lengths are estimated.
        cached: whether keys and values are kept; else whole prompts run.
    """
    settings = {"counts": counts_of(n_layers * n_heads)}
    found = []
    for method in (REGULAR, ZERO_SHOT, *methods):
        plain = method in (REGULAR, ZERO_SHOT)
        groups = method.candidates(layers, settings)
        size = prompts_at_once(batch_size, groups)
        total = {"layer_tokens": 0, "layer_tokens_choosing": 0, "ranking": 0}
        for dev, test in tasks:
            on_dev = [] if plain else sized_batches(tokenizer, dev, size, cached)
            on_test = sized_batches(tokenizer, test, size, cached)
            cost = cost_of(method, groups, groups[0][0], on_dev, on_test, n_layers)
            total = {key: value + cost.get(key, 0) for key, value in total.items()}
            if method.heads and ranks_heads:
                total["ranking"] += _ranking(tokenizer, dev, batch_size, n_heads, n_layers)
        jobs = len(tasks) * (1 + int(with_variants and not plain))
        jobs += len(tasks) * int(method.heads and ranks_heads)
        found.append({"method": method.name, **total, "jobs": jobs})
    return found


def sized_batches(
    tokenizer: Any | None, prompts: Sequence[Sized], size: int, cached: bool = True
) -> list[dict[str, Any]]:
    """Batches that have nothing but their shapes."""
    parts = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    return [_sized(tokenizer, part, cached) for part in parts]


def _sized(tokenizer: Any | None, part: Sequence[Sized], cached: bool) -> dict[str, Any]:
    sizes = [size for _, size in part]
    texts = [text for prompt, _ in part for pair in prompt.demonstrations for text in pair]
    alone = [one.alone for one in sizes]
    suffixes = [
        length + (0 if cached else one.shared) for one in sizes for length in one.suffixes[1:]
    ]
    return {
        "prompts": len(part),
        "shared": _inputs(len(part), max(one.shared for one in sizes)) if cached else None,
        "suffixes": _parts(suffixes, cached),
        "before": _inputs(len(part), max(alone) - 1) if cached else None,
        "arrow": _parts([1] * len(part) if cached else alone, cached),
        "query": _parts(alone, cached),
        "whole": _parts([one.shared + one.suffixes[0] for one in sizes], cached),
        "pairs": _parts([_length(tokenizer, text) for text in texts], cached),
    }


def _parts(lengths: Sequence[int], cached: bool) -> list[dict[str, Any]]:
    """Rows of some lengths: padded in one part, or each as long as it is."""
    rows = [(len(lengths), max(lengths))] if cached else [(1, length) for length in lengths]
    return [{"inputs": _inputs(*shape), "cached": cached} for shape in rows]


def _ranking(
    tokenizer: Any | None, dev: Sequence[Sized], size: int, n_heads: int, n_layers: int
) -> int:
    reading = sum(
        FUNCTION.cost(batch, [(0,)], n_layers)[0] for batch in sized_batches(tokenizer, dev, size)
    )
    fewer = corrupted_at_once(size, n_heads)
    for start in range(0, min(len(dev), RANKING_PROMPTS), fewer):
        part = dev[start : min(start + fewer, RANKING_PROMPTS)]
        whole = max(one.shared + one.suffixes[0] for _, one in part)
        batch: Mapping[str, Any] = {
            "prompts": len(part),
            "before": _inputs(len(part), whole - 1),
            "arrow": _parts([1] * len(part), cached=True),
        }
        reading += cost_of_ranking(batch, n_heads, n_layers)
    return reading


def _inputs(rows: int, tokens: int) -> dict[str, torch.Tensor] | None:
    return {"input_ids": torch.empty(rows, tokens, device="meta")} if tokens else None


def _length(tokenizer: Any | None, text: str) -> int:
    return 1 + estimated_tokens(text) if tokenizer is None else len(encode_plain(tokenizer, text))

"""Benchmark (a): the published procedure, written plainly and batched.

Every prompt is read whole, for logits at all positions; for theta the states of all tokens at
all layers go to the CPU; the sweep is one forward pass a layer, of the arrow alone, over the
cached query. Leaner than the authors' code in one thing: a batch's logits are dropped after use.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.benchmarks.batches import Batch, left_padded
from tests.twins.blocks import decoder_blocks, recorded, replaced
from tests.twins.cache import CACHE
from tests.twins.prompts import Prompt, dummy_ids, query_ids, regular_ids
from tests.twins.result import Result, accuracies_on_dev, accuracies_on_test, best_of


@torch.no_grad()
def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dev: list[Prompt],
    test: list[Prompt],
    *,
    batch_size: int = 25,
) -> Result:
    """The whole protocol: the layer chosen on dev, the three methods on test."""
    dev_thetas = thetas(model, tokenizer, dev, batch_size)  # (prompt, layer, hidden)
    dev_hypothesis = sweep(model, tokenizer, dev, dev_thetas, batch_size)
    dev_accuracy = accuracies_on_dev(tokenizer, dev, dev_hypothesis)
    best = best_of(dev_accuracy)
    test_thetas = thetas(model, tokenizer, test, batch_size)  # (prompt, layer, hidden)
    queries = _padded(model, [query_ids(tokenizer, prompt) for prompt in test])
    full = _padded(model, [regular_ids(tokenizer, prompt) for prompt in test])
    methods = {
        "baseline": predictions(model, queries, batch_size),
        "hypothesis": injected(model, queries, best, test_thetas[:, best], batch_size),
        "regular": predictions(model, full, batch_size),
    }
    return Result(
        baseline=methods["baseline"],
        hypothesis=methods["hypothesis"],
        regular=methods["regular"],
        dev_hypothesis=dev_hypothesis,
        dev_accuracy=dev_accuracy,
        accuracy=accuracies_on_test(tokenizer, test, methods),
        best_layer=best,
        theta=test_thetas.mean(0),
    )


def thetas(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
    batch_size: int,
) -> Tensor:
    """Theta of every prompt at every block, out of the states of all tokens of all layers."""
    rows = [ids for prompt in prompts for ids in dummy_ids(tokenizer, prompt)]
    batch = _padded(model, rows)
    kept = []
    for start in range(0, len(rows), batch_size):
        with recorded(model, lambda state: state.clone().cpu()) as layers:
            _logits(model, batch.rows(start, batch_size))
        kept.append(torch.stack(layers, dim=1))  # (batch, layer, token, hidden)
    arrows = torch.cat(kept)[:, :, -1].float()  # (dummy, layer, hidden)
    per_prompt = arrows.view(len(prompts), -1, *arrows.shape[1:])
    return per_prompt.mean(1)  # (prompt, layer, hidden)


def sweep(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
    vectors: Tensor,
    batch_size: int,
) -> list[list[int]]:
    """The predictions with theta injected, (layer, prompt): one forward pass a layer."""
    queries = _padded(model, [query_ids(tokenizer, prompt) for prompt in prompts])
    starts = range(0, len(prompts), batch_size)
    caches = {start: _query_cache(model, queries.rows(start, batch_size)) for start in starts}
    arrows = Batch(queries.ids[:, -1:], queries.mask, queries.positions[:, -1:])
    found: list[list[int]] = []
    for layer in range(len(decoder_blocks(model))):
        own = vectors[:, layer].to(model.device)  # (prompt, hidden)
        found.append([])
        for start, cache in caches.items():
            with replaced(model, layer, own[start : start + batch_size]):
                logits = _logits(model, arrows.rows(start, batch_size), **{CACHE: cache})
            cache.crop(-1)  # the arrow goes, the query's other tokens stay for the next layer
            found[-1] += _last(logits)
    return found


def injected(
    model: PreTrainedModel, batch: Batch, layer: int, vectors: Tensor, batch_size: int
) -> list[int]:
    """The predictions of whole queries, with a vector of its own injected into each row."""
    found: list[int] = []
    for start in range(0, len(batch.ids), batch_size):
        own = vectors[start : start + batch_size].to(model.device)  # (batch, hidden)
        with replaced(model, layer, own):
            found += _last(_logits(model, batch.rows(start, batch_size)))
    return found


def predictions(model: PreTrainedModel, batch: Batch, batch_size: int) -> list[int]:
    """The most likely next token of every row."""
    found: list[int] = []
    for start in range(0, len(batch.ids), batch_size):
        found += _last(_logits(model, batch.rows(start, batch_size)))
    return found


def _query_cache(model: PreTrainedModel, batch: Batch) -> Any:
    cache = model(**batch.inputs(), use_cache=True)[CACHE]
    cache.crop(-1)  # all but the arrow
    return cache


def _logits(model: PreTrainedModel, batch: Batch, **options: Any) -> Tensor:
    logits: Tensor = model(**batch.inputs(), **options).logits
    return logits.cpu()  # (batch, token, vocab)


def _last(logits: Tensor) -> list[int]:
    return [int(token) for token in logits[:, -1].argmax(-1)]


def _padded(model: PreTrainedModel, rows: list[list[int]]) -> Batch:
    return left_padded(rows, model.device)

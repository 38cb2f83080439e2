"""Benchmark (b): the least that the protocol needs, in plain PyTorch hooks.

Demonstrations are read once a prompt and shared by the query and the dummies; the head sees only
rows whose answer is wanted; the sweep is a single arrow token a row, prompts x layers rows. With
`group_size` the layers go in groups, and blocks up to a group's lowest layer are not run.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os.path import commonprefix
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.benchmarks.batches import Batch, continued, left_padded
from tests.twins.blocks import decoder_blocks, recorded, watched
from tests.twins.cache import CACHE
from tests.twins.prompts import Prompt, dummy_ids, query_ids, regular_ids
from tests.twins.result import Result, accuracies_on_dev, accuracies_on_test, best_of

Item = TypeVar("Item")
NOWHERE = -1  # the candidate "layer" of an arrow that is left as it is: the baseline
ROWS_PER_HEAD = 128  # bounds the logits: rows x vocabulary


@torch.no_grad()
def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dev: list[Prompt],
    test: list[Prompt],
    *,
    prompts_per_batch: int = 25,
    group_size: int | None = None,
    query_on_dev: bool = True,
) -> Result:
    """The whole protocol; `query_on_dev=False` leaves out the dev queries' unused regular rows."""
    layers = list(range(len(decoder_blocks(model))))
    swept, thetas, regular, answers = [], [], [], []
    for prompts in _chunks(dev, prompts_per_batch):
        rows = _rows(tokenizer, prompts, with_query=query_on_dev)
        theta, _ = read(model, rows, with_query=query_on_dev)
        queries = [query_ids(tokenizer, prompt) for prompt in prompts]
        swept.append(arrows(model, queries, theta, layers, group_size))
    dev_hypothesis = torch.cat(swept).T.tolist()  # (layer, prompt)
    dev_accuracy = accuracies_on_dev(tokenizer, dev, dev_hypothesis)
    best = best_of(dev_accuracy)
    for prompts in _chunks(test, prompts_per_batch):
        theta, tokens = read(model, _rows(tokenizer, prompts, with_query=True), with_query=True)
        queries = [query_ids(tokenizer, prompt) for prompt in prompts]
        answers.append(arrows(model, queries, theta, [NOWHERE, best], None))
        thetas.append(theta)
        regular += tokens.tolist()
    baseline, hypothesis = torch.cat(answers).T.tolist()
    methods = {"baseline": baseline, "hypothesis": hypothesis, "regular": regular}
    return Result(
        baseline=baseline,
        hypothesis=hypothesis,
        regular=regular,
        dev_hypothesis=dev_hypothesis,
        dev_accuracy=dev_accuracy,
        accuracy=accuracies_on_test(tokenizer, test, methods),
        best_layer=best,
        theta=torch.cat(thetas).mean(0).cpu(),
    )


def read(
    model: PreTrainedModel, rows: list[list[list[int]]], *, with_query: bool
) -> tuple[Tensor, Tensor]:
    """Theta (prompt, layer, hidden) and, where the query stands first, its answer (prompt)."""
    shared = [_shared(own) for own in rows]
    past = left_padded([own[0][:n] for own, n in zip(rows, shared, strict=True)], model.device)
    cache = _body(model, past, use_cache=True)[CACHE]
    width = len(rows[0])
    cache.batch_repeat_interleave(width)
    ends = [row[n:] for own, n in zip(rows, shared, strict=True) for row in own]
    batch = continued(past.mask.repeat_interleave(width, 0), left_padded(ends, model.device))
    with recorded(model, lambda state: state[:, -1].clone()) as states:
        last = _body(model, batch, **{CACHE: cache}).last_hidden_state[:, -1]
    dummies = slice(1 if with_query else 0, None)
    stacked = torch.stack(states, 1)  # (prompt x row, layer, hidden)
    by_row = stacked.view(len(rows), width, *stacked.shape[1:])
    theta = by_row[:, dummies].float().mean(1)  # (prompt, layer, hidden)
    return theta, _answers(model, last[::width]) if with_query else last.new_empty(0)


def arrows(
    model: PreTrainedModel,
    queries: list[list[int]],
    theta: Tensor,
    candidates: list[int],
    group_size: int | None,
) -> Tensor:
    """The answers of queries with theta injected at each candidate layer, (prompt, candidate)."""
    past = left_padded([row[:-1] for row in queries], model.device)
    cache, in_tuple = _query_cache(model, past)
    arrow = left_padded([row[-1:] for row in queries], model.device)
    step = continued(past.mask, arrow)
    groups = list(_chunks(candidates, group_size or len(candidates)))
    found = []
    for group in groups:
        lowest = min(group) + 1 if group_size else 0
        own = copy.deepcopy(cache) if len(groups) > 1 else cache
        with skipped(model, lowest, in_tuple=in_tuple):
            found.append(_group(model, step, own, theta, group))
    return torch.cat(found, dim=1)  # (prompt, candidate)


@contextmanager
def skipped(model: PreTrainedModel, count: int, *, in_tuple: bool) -> Iterator[None]:
    """The lowest `count` blocks hand on what they get; their output can still be replaced."""
    blocks = list(decoder_blocks(model))[:count]
    for block in blocks:
        block.forward = pass_through_in_tuple if in_tuple else pass_through
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def pass_through(hidden_states: Tensor, *args: Any, **options: Any) -> Tensor:
    """The `forward` of a block that is not run."""
    return hidden_states


def pass_through_in_tuple(hidden_states: Tensor, *args: Any, **options: Any) -> tuple[Any, ...]:
    """The same, in the families whose blocks give a tuple."""
    return hidden_states, None


def _query_cache(model: PreTrainedModel, past: Batch) -> tuple[Any, bool]:
    kinds: list[bool] = []

    def see(block: nn.Module, inputs: Any, output: Any) -> None:
        kinds.append(isinstance(output, tuple))

    handle = decoder_blocks(model)[0].register_forward_hook(see)
    cache = _body(model, past, use_cache=True)[CACHE]
    handle.remove()
    return cache, kinds[0]


def _group(
    model: PreTrainedModel, step: Batch, cache: Any, theta: Tensor, group: Sequence[int]
) -> Tensor:
    width = len(group)
    cache.batch_repeat_interleave(width)
    batch = Batch(*(tensor.repeat_interleave(width, 0) for tensor in step))

    def put(layer: int, state: Tensor) -> None:
        if layer in group:
            rows = state.view(-1, width, *state.shape[1:])  # (prompt, candidate, 1, hidden)
            rows[:, group.index(layer), -1] = theta[:, layer].to(state.dtype)

    with watched(model, put):
        last = _body(model, batch, **{CACHE: cache}).last_hidden_state[:, -1]
    return _answers(model, last).view(-1, width)  # (prompt, candidate)


def _body(model: PreTrainedModel, batch: Batch, **options: Any) -> Any:
    return model.base_model(**batch.inputs(), **options)


def _answers(model: PreTrainedModel, last: Tensor) -> Tensor:
    opened: Any = model
    head = opened.get_output_embeddings()  # what may follow it (a soft cap) keeps the order
    starts = range(0, len(last), ROWS_PER_HEAD)
    parts = [head(last[start : start + ROWS_PER_HEAD]).argmax(-1) for start in starts]
    return torch.cat(parts)  # (batch)


def _rows(
    tokenizer: PreTrainedTokenizerBase, prompts: Iterable[Prompt], *, with_query: bool
) -> list[list[list[int]]]:
    query = [[regular_ids(tokenizer, p)] if with_query else [] for p in prompts]
    return [own + dummy_ids(tokenizer, p) for own, p in zip(query, prompts, strict=True)]


def _shared(rows: list[list[int]]) -> int:
    common: list[int] = commonprefix(rows)  # type: ignore[assignment]
    return min(len(common), *(len(row) - 1 for row in rows))


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))

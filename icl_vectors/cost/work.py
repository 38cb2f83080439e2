"""What a sweep computes, counted from the lengths of its prompts alone: tokens, passes, FLOPs.

A *layer-token* is one token through one block, padding included, as the batches are run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from icl_vectors.graph.task import GROUP
from icl_vectors.models.architecture import Architecture, stated, text_config
from icl_vectors.prompts.encoding import EncodedPrompt

TWO = 2  # a multiplication and an addition
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


@dataclass(frozen=True)
class PromptSize:
    """How many tokens the parts of one prompt have (see `EncodedPrompt`)."""

    shared: int
    suffixes: tuple[int, ...]
    alone: int
    accepted: int = 1

    @classmethod
    def of(cls, prompt: EncodedPrompt) -> "PromptSize":
        lengths = tuple(map(len, prompt.suffixes))
        return cls(len(prompt.shared), lengths, len(prompt.alone), len(prompt.accepted))


@dataclass(frozen=True)
class Pass:
    """One forward pass: rows of tokens through blocks, after a context, some through the head."""

    rows: int
    tokens: int
    blocks: int
    context: int
    head_rows: int

    @property
    def layer_tokens(self) -> int:
        return self.rows * self.tokens * self.blocks


@dataclass(frozen=True)
class Shape:
    """What decides the arithmetic of a model: weights that a token meets, widths."""

    n_layers: int
    block_weights: int
    head_weights: int
    attention_width: int

    @classmethod
    def of(cls, module: Any, architecture: Architecture) -> "Shape":
        """Of a module, weights or not; of experts only those that one token is sent to."""
        config, blocks = text_config(module.config), architecture.blocks
        own = [
            _active_weights(name.removeprefix(f"{block}."), parameter, config)
            for block in blocks
            for name, parameter in module.named_parameters()
            if name.startswith(f"{block}.")
        ]
        head = module.get_output_embeddings().weight
        heads = architecture.heads or 1
        size = stated(config, "head_dim") or architecture.hidden // heads
        return cls(
            n_layers=len(blocks),
            block_weights=sum(own) // len(blocks),
            head_weights=head.numel(),
            attention_width=heads * size,
        )

    def flops(self, one: Pass) -> int:
        """Multiplications and additions of a pass: weights, attention, head."""
        attention = 2 * TWO * self.attention_width * one.context  # scores, and what they weigh
        inner = one.layer_tokens * (TWO * self.block_weights + attention)
        return inner + one.head_rows * TWO * self.head_weights


def passes_of_unit(
    dev: Sequence[PromptSize],
    test: Sequence[PromptSize],
    layers: Sequence[int],
    n_layers: int,
    batch_size: int,
    cached: bool = True,
) -> list[Pass]:
    """The forward passes of one task and seed, as `run_task` makes them.

    Args:
        cached: whether keys and values are kept; else whole prompts run, those of a length
            together.
    """
    if not cached:
        return _of_whole_prompts(dev, test, sorted(layers), n_layers, batch_size)
    found: list[Pass] = []
    for batch in _batches(dev, batch_size):
        found += _reading(batch, n_layers, asked=0)
        ordered = sorted(layers)
        for start in range(0, len(ordered), GROUP):
            group = ordered[start : start + GROUP]
            found.append(_sweeping(batch, len(group), n_layers - 1 - group[0]))
    for batch in _batches(test, batch_size):
        found += _reading(batch, n_layers, asked=1)
        found.append(_sweeping(batch, 2, n_layers))
    return found


def _of_whole_prompts(
    dev: Sequence[PromptSize],
    test: Sequence[PromptSize],
    layers: Sequence[int],
    n_layers: int,
    batch_size: int,
) -> list[Pass]:
    found: list[Pass] = []
    groups = [len(layers[start : start + GROUP]) for start in range(0, len(layers), GROUP)]
    for split, asked, candidates in ((dev, 0, groups), (test, 1, [2])):
        for batch in _batches(split, batch_size):
            rows = [one.shared + length for one in batch for length in one.suffixes[1 - asked :]]
            alone = [one.alone for one in batch]
            for lengths, times in [(rows, 1), *((alone, count) for count in candidates)]:
                for length, count in sorted(Counter(lengths).items()):
                    found.append(Pass(count * times, length, n_layers, length, count * times))
    return found


def longest(prompts: Sequence[PromptSize]) -> int:
    """Tokens of the longest prompt."""
    return max(one.shared + max(one.suffixes) for one in prompts)


def _reading(batch: Sequence[PromptSize], n_layers: int, asked: int) -> Iterator[Pass]:
    shared = max(one.shared for one in batch)
    suffixes = [length for one in batch for length in one.suffixes[1 - asked :]]
    before = max(one.alone for one in batch) - 1
    if shared:
        yield Pass(len(batch), shared, n_layers, shared, 0)
    width = max(suffixes)
    yield Pass(len(suffixes), width, n_layers, shared + width, len(suffixes))
    if before:
        yield Pass(len(batch), before, n_layers, before, 0)


def _sweeping(batch: Sequence[PromptSize], candidates: int, blocks: int) -> Pass:
    rows = len(batch) * candidates
    return Pass(rows, 1, blocks, max(one.alone for one in batch), rows)


def _batches(prompts: Sequence[PromptSize], size: int) -> Iterator[Sequence[PromptSize]]:
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def _active_weights(name: str, parameter: torch.Tensor, config: Any) -> int:
    if parameter.dim() < 2:
        return 0
    count = next((n for key in EXPERTS if (n := stated(config, key))), 0)
    if count and "expert" in name and "shared" not in name:
        return int(parameter.numel() * (stated(config, "num_experts_per_tok") or 1) / count)
    return parameter.numel()

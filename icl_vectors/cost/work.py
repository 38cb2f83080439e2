"""What a sweep computes, counted from the lengths of its prompts alone: tokens, passes, FLOPs.

A *layer-token* is one token through one block, padding included, as the batches are run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from icl_vectors.graph.task import GROUP
from icl_vectors.models.architecture import Architecture, stated, text_config
from icl_vectors.prompts.batches import Batch, Way, layer_groups, make_batches
from icl_vectors.prompts.encoding import EncodedPrompt

TWO = 2  # a multiplication and an addition
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


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
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
    layers: Sequence[int],
    n_layers: int,
    batch_size: int,
    way: Way,
) -> list[Pass]:
    """The forward passes of one task and seed, as `run_task` makes them of the same batches."""
    swept = [(len(group), n_layers - 1 - group[0]) for group in layer_groups(layers, GROUP)]
    on_dev = make_batches(dev, batch_size, way, with_query=False)
    on_test = make_batches(test, batch_size, way)
    [probe, *_] = [*on_dev, *on_test][0]["arrow"]
    ids = {"input_ids": probe["inputs"]["input_ids"]}  # do blocks give tuples?
    found = [_of_inputs(ids, 1 if probe["cached"] else n_layers)]
    for batches, injected in ((on_dev, swept), (on_test, [(2, n_layers)])):
        found += [one for batch in batches for one in _of_batch(batch, n_layers, injected)]
    return found


def _of_batch(batch: Batch, n_layers: int, swept: Sequence[tuple[int, int]]) -> Iterator[Pass]:
    """Demonstrations, suffixes, the query, and its arrow with so many candidates and blocks."""
    for inputs in (batch["shared"], batch["before"]):
        if inputs is not None:
            yield _of_inputs(inputs, n_layers)
    for part in batch["suffixes"]:
        yield _of_inputs(part["inputs"], n_layers, times=1)
    for candidates, blocks in swept:
        for part in batch["arrow"]:
            run = blocks if part["cached"] else n_layers
            yield _of_inputs(part["inputs"], run, times=candidates)


def _of_inputs(inputs: Mapping[str, torch.Tensor], blocks: int, times: int = 0) -> Pass:
    """Each row `times` times, with its logits; with 0 once, without them."""
    rows, tokens = inputs["input_ids"].shape
    context = inputs.get("attention_mask", inputs["input_ids"]).shape[1]
    return Pass(rows * max(1, times), tokens, blocks, context, rows * times)


def _active_weights(name: str, parameter: torch.Tensor, config: Any) -> int:
    if parameter.dim() < 2:
        return 0
    count = next((n for key in EXPERTS if (n := stated(config, key))), 0)
    if count and "expert" in name and "shared" not in name:
        return int(parameter.numel() * (stated(config, "num_experts_per_tok") or 1) / count)
    return parameter.numel()

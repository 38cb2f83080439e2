"""A state as logits by hand: final norm, unembedding, and what a family does to its logits."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tests.twins.blocks import decoder_blocks

NORMS = ("norm", "ln_f", "layernorm", "layer_norm")


def final_norm(model: PreTrainedModel) -> nn.Module:
    """The last norm beside the list of blocks.

    Raises:
        ValueError: if there is none.
    """
    blocks = decoder_blocks(model)
    for module in model.modules():
        children = dict(module.named_children())
        if blocks in children.values():
            found = [name for name in children if any(norm in name for norm in NORMS)]
            if found:
                return children[found[-1]]
    raise ValueError("expected a norm beside the blocks, found none")


@torch.no_grad()
def unembed(model: Any, states: Tensor) -> Tensor:
    """Logits of states (row, hidden): norm, head, then scale and soft-cap where there are any."""
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    logits: Tensor = head(final_norm(model)(states))
    if scale := getattr(config, "logits_scaling", None):  # granite
        logits = logits / scale
    if config.model_type.startswith("cohere"):
        logits = logits * config.logit_scale
    if cap := getattr(config, "final_logit_softcapping", None):  # gemma 2
        logits = cap * torch.tanh(logits / cap)
    return logits  # (row, vocab)

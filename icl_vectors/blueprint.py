"""A model without its weights: what a configuration alone tells (shapes on the meta device)."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM

from icl_vectors.architecture import require_decoder
from icl_vectors.errors import IclVectorsError


def blueprint(config: Any, *, trust_remote_code: bool = False) -> Any:
    """The module that a configuration describes, on the meta device: every shape, no weights.

    Raises:
        IclVectorsError: transformers has no decoder-only language model of this type.
    """
    require_decoder(config)
    maker: Any = AutoModelForCausalLM
    try:
        with torch.device("meta"):
            return maker.from_config(config, trust_remote_code=trust_remote_code)
    except (ValueError, TypeError, AttributeError, KeyError, ZeroDivisionError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
        raise IclVectorsError(
            f"model type {config.model_type!r}: expected a decoder-only language model of "
            f"transformers, found a configuration that gives none ({first})."
        ) from error

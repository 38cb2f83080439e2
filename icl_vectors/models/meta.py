"""A model without its weights: what a configuration alone tells (shapes on the meta device)."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from icl_vectors.errors import IclVectorsError, first_line
from icl_vectors.models.architecture import require_decoder

# Sizes that a configuration may state: far beyond any model, but such that a meta model is made in
# no time. The largest models have 126 blocks, width 18,432 and 262,208 tokens.
LARGEST = {"num_hidden_layers": 2_000, "hidden_size": 1 << 20, "vocab_size": 1 << 26}


def meta_model(config: Any, *, trust_remote_code: bool = False) -> Any:
    """The module that a configuration describes, on the meta device: every shape, no weights.

    Raises:
        IclVectorsError: transformers has no decoder-only language model of this type.
    """
    _require_sizes(require_decoder(config))
    try:
        with torch.device("meta"):
            return _maker(config).from_config(config, trust_remote_code=trust_remote_code)
    except Exception as error:  # each type of model fails in its own way on sizes that are none
        first = first_line(error, 150)
        if isinstance(error, ImportError):
            raise IclVectorsError(
                f"model type {config.model_type!r}: expected the packages that transformers needs "
                f"for it, found that one lacks: {' '.join(str(error).split())[:200]}"
            ) from error
        raise IclVectorsError(
            f"model type {config.model_type!r}: expected a decoder-only language model of "
            f"transformers, found a configuration that gives none ({first})."
        ) from error


def _maker(config: Any) -> Any:
    """transformers' class for language models, or for those of text and images."""
    mappings: Any = (
        AutoModelForCausalLM._model_mapping,
        AutoModelForImageTextToText._model_mapping,
    )
    of_text, of_images = (type(config) in mapping for mapping in mappings)
    return AutoModelForImageTextToText if of_images and not of_text else AutoModelForCausalLM


def _require_sizes(config: Any) -> None:
    """Refuse sizes that no model has, before modules of such sizes are made.

    Raises:
        IclVectorsError: naming the size.
    """
    for name, most in LARGEST.items():
        size = _size(config, name)
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= most:
            raise IclVectorsError(
                f"model type {config.model_type!r}: expected {name} in config.json to be 1 to "
                f"{most}, found {size!r}; mend config.json, or fetch it again."
            )


def _size(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, 1)
    except Exception:  # transformers raises where blocks differ in it
        return 1

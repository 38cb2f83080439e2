"""How long a prompt a model takes, and prompts as tokens within that."""

from collections.abc import Iterable

from icl_vectors.encoding import EncodedPrompt, encode_prompt
from icl_vectors.models import Model
from icl_vectors.prompts import Prompt
from icl_vectors.templates import Template

UNBOUNDED = 1 << 30


def positions_limit(model: Model) -> int:
    """The most tokens that the model takes in one prompt."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        if isinstance(limit := getattr(model.config, name, None), int):
            return limit
    return UNBOUNDED


def encode_prompts(
    model: Model, template: Template, prompts: Iterable[Prompt]
) -> list[EncodedPrompt]:
    """Prompts as token ids, in order.

    Raises:
        IclVectorsError: the tokenizer joins an arrow with its answer, or a prompt is longer than
            the model takes.
    """
    limit = positions_limit(model)
    return [encode_prompt(model.tokenizer, template, prompt, limit) for prompt in prompts]

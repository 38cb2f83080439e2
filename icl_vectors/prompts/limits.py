"""How long a prompt a model takes, and prompts as tokens within that."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template

if TYPE_CHECKING:
    from icl_vectors.models.load import Model

UNBOUNDED = 1 << 30


def positions_limit(model: "Model") -> int:
    """The most tokens that the model takes in one prompt."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        if isinstance(limit := getattr(model.config, name, None), int):
            return limit
    return UNBOUNDED


def require_room(where: str, tokens: int, written: int, limit: int, cure: str) -> None:
    """Refuse a text that, with what is written after it, is longer than the model takes.

    Args:
        written: tokens of the answer that follow; the last of them is not read again.
        cure: what to do.

    Raises:
        IclVectorsError: naming both lengths.
    """
    needed = tokens + max(0, written - 1)
    if needed > limit:
        more = f" and {written} to be written" if written > 1 else ""
        raise IclVectorsError(
            f"{where}: found {tokens} tokens{more}, expected at most {limit} in all, which is "
            f"what the model takes; {cure}."
        )


def encode_prompts(
    model: "Model", template: Template, prompts: Iterable[Prompt], written: int = 0
) -> list[EncodedPrompt]:
    """Prompts as token ids, in order.

    Args:
        written: tokens of the answers that are to be written after them.

    Raises:
        IclVectorsError: the tokenizer joins an arrow with its answer, or a prompt is longer than
            the model takes.
    """
    limit = positions_limit(model)
    encoded = [encode_prompt(model.tokenizer, template, prompt, limit) for prompt in prompts]
    for one in encoded if written else ():
        tokens = len(one.shared) + len(one.suffixes[0])
        require_room(f"prompt {one.prompt.id}", tokens, written, limit, "lower --shots")
    return encoded

"""How long a prompt a model takes, and prompts as tokens within that."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.encoding import EncodedPrompt, Joined, encode_prompt
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


def encode_most(
    model: "Model", template: Template, prompts: Iterable[Prompt], written: int = 0
) -> tuple[list[EncodedPrompt], str]:
    """As `encode_prompts`, without the prompts whose arrow the tokenizer joins with an answer.

    Returns:
        The others, in order, and which answers were joined in how many prompts, in words.

    Raises:
        IclVectorsError: fewer than half are left, or as `encode_prompts`.
    """
    asked, found, joined = list(prompts), [], Counter[str]()
    for prompt in asked:
        try:
            found += encode_prompts(model, template, [prompt], written)
        except Joined as error:
            joined[error.answer] += 1
            last = error
    if len(found) < len(asked) / 2:
        raise last
    named = ", ".join(f"{answer[:20]!r} ({count})" for answer, count in joined.most_common(5))
    left_out = (
        f"{joined.total()} of {len(asked)} {asked[0].split} prompts of {asked[0].task} are left "
        f"out: with this template the tokenizer joins the arrow with the answers {named}"
    )
    return found, left_out if joined else ""

"""What a tokenizer puts before a text, and whether the model was made to be talked to."""

from collections.abc import Iterator
from typing import Any

from icl_vectors.errors import IclVectorsError

NEED_START = ("gemma", "llama", "mistral")  # trained with it before every text
PROBE = "a"


def require_one_start(tokenizer: Any, reference: str) -> None:
    """Refuse a tokenizer that puts the beginning-of-text token (BOS) twice.

    Raises:
        IclVectorsError: it does; the message says where to mend it.
    """
    if (count := _starts(tokenizer)) > 1:
        raise IclVectorsError(
            f"model {reference!r}: expected its tokenizer to begin a text with one "
            f"{tokenizer.bos_token!r}, found {count}; mend post_processor in tokenizer.json, the "
            "model has not seen such texts."
        )


def remarks_on(tokenizer: Any, model_type: str) -> Iterator[str]:
    """What a user should know of a tokenizer that can be used."""
    if getattr(tokenizer, "chat_template", None):
        yield (
            "it has a chat template, so it is instruction-tuned; the experiment is meant for base "
            "models, which continue a pattern. Prompts are bare lines unless --chat is given."
        )
    if model_type.startswith(NEED_START) and not _starts(tokenizer):
        yield (
            f"its tokenizer puts no beginning-of-text token before a text, though {model_type} "
            "models are trained with one; answers may be poor (see add_bos_token in "
            "tokenizer_config.json)."
        )


def _starts(tokenizer: Any) -> int:
    """How often the beginning-of-text token stands before a text."""
    ids = list(tokenizer(PROBE)["input_ids"])
    if tokenizer.bos_token_id is None:
        return 0
    return next((i for i, token in enumerate(ids) if token != tokenizer.bos_token_id), len(ids))

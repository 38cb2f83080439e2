"""Lengths of prompts in tokens: read with the tokenizer, or estimated where there is none."""

import re
from collections.abc import Sequence
from math import ceil
from typing import Any

from icl_vectors.cost.work import PromptSize
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template

LETTERS_OF_TOKEN = 5  # of a word: within 17 % of Gemma's and SmolLM2's tokenizer on all 18 tasks
PIECES = re.compile(r"[^\W\d_]+|[^\w ]|\d|_|\n")


def prompt_sizes(
    tokenizer: Any | None, template: Template, prompts: Sequence[Prompt], limit: int
) -> list[PromptSize]:
    """How many tokens the parts of each prompt have.

    Raises:
        IclVectorsError: a prompt is longer than the model takes, or the tokenizer can't tell
            the arrow.
    """
    if tokenizer is None:
        return [_estimated(template, prompt) for prompt in prompts]
    return [PromptSize.of(encode_prompt(tokenizer, template, one, limit)) for one in prompts]


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has: signs and digits one each, words by their length."""
    return sum(ceil(len(piece) / LETTERS_OF_TOKEN) for piece in PIECES.findall(text))


def _estimated(template: Template, prompt: Prompt) -> PromptSize:
    lines = [template.query(input) for input in (prompt.query, *prompt.dummies)]
    suffixes = tuple(estimated_tokens(line) for line in lines)
    whole = estimated_tokens(template.prompt(prompt.demonstrations, prompt.query))
    return PromptSize(1 + whole - suffixes[0], suffixes, 1 + suffixes[0], len(prompt.answers))

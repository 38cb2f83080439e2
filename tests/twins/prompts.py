"""Prompts of the twins: their text, their token ids, and the first tokens an answer may have."""

from collections.abc import Iterable
from typing import Any, TypedDict

from transformers import PreTrainedTokenizerBase

ARROW = "→"
SEPARATOR = "\n"


class Prompt(TypedDict):
    """One in-context prompt: five demonstrations, a query, its answers and two dummy queries."""

    demonstrations: list[list[str]]
    query: str
    answers: list[str]
    dummies: list[str]


def as_twin(prompt: Any) -> Prompt:
    """A prompt of the package as one of the twins."""
    return Prompt(
        demonstrations=[list(pair) for pair in prompt.demonstrations],
        query=prompt.query,
        answers=list(prompt.answers),
        dummies=list(prompt.dummies),
    )


def query_text(query: str) -> str:
    """The query's line alone, up to and with its arrow."""
    return f"{query}{ARROW}"


def full_text(prompt: Prompt, query: str) -> str:
    """The demonstrations, then the line of a query (the prompt's own, or a dummy)."""
    lines = [f"{x}{ARROW}{y}" for x, y in prompt["demonstrations"]]
    return SEPARATOR.join([*lines, query_text(query)])


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text, with the special tokens the tokenizer puts in front."""
    return [int(token) for token in tokenizer(text, add_special_tokens=True)["input_ids"]]


def query_ids(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """The ids of `query→` alone."""
    return token_ids(tokenizer, query_text(prompt["query"]))


def regular_ids(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """The ids of the demonstrations and the query."""
    return token_ids(tokenizer, full_text(prompt, prompt["query"]))


def dummy_ids(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[list[int]]:
    """The ids of the demonstrations and each of the dummies."""
    return [token_ids(tokenizer, full_text(prompt, dummy)) for dummy in prompt["dummies"]]


def accepted_tokens(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> set[int]:
    """The first tokens of the accepted answers, read after the arrow in the query's own line.

    Raises:
        ValueError: if the answer changes the tokens before it.
    """
    text = query_text(prompt["query"])
    before = token_ids(tokenizer, text)
    return {_first_token(tokenizer, text, before, answer) for answer in prompt["answers"]}


def accuracy(predictions: Iterable[int], accepted: list[set[int]]) -> float:
    """The share of predictions that are an accepted first token."""
    hits = [token in tokens for token, tokens in zip(predictions, accepted, strict=True)]
    return sum(hits) / len(hits)


def _first_token(
    tokenizer: PreTrainedTokenizerBase, text: str, before: list[int], answer: str
) -> int:
    whole = token_ids(tokenizer, text + answer)
    if len(whole) <= len(before) or whole[: len(before)] != before:
        raise ValueError(
            f"expected {text!r} to keep its tokens when {answer!r} follows, "
            f"found {whole} after {before}"
        )
    return whole[len(before)]

"""From prompts to token ids: where the arrow is, where the demonstrations end, what answers begin.

The arrow is found by character offset, never by searching for a token: it is the token at whose
end the prompt's text ends, also when the answer is attached.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from icl_vectors.errors import IclVectorsError
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template


class Joined(IclVectorsError):
    """A tokenizer that joins the arrow with an answer."""

    def __init__(self, template: Template, answer: str) -> None:
        self.answer = answer
        super().__init__(
            f"template {template.text!r}: this tokenizer joins the arrow with the answer "
            f"{answer[:20]!r}; use another arrow, or put a blank after it."
        )


@dataclass(frozen=True)
class EncodedPrompt:
    """The token ids of one prompt; every sequence of `suffixes` and `alone` ends at an arrow.

    Attributes:
        shared: what query and dummies have in common: BOS and the demonstrations, unless an
            instruction stands before the dummies.
        suffixes: what follows `shared`: first the query's, then one for each dummy.
        alone: the query without demonstrations, BOS included.
        accepted: first tokens of the accepted answers, read in context, sorted.
        echo: the first token of the query itself, where an answer would stand, or −1.
        first: where `accepted` are labels by index, first tokens of the accepted answers.
    """

    prompt: Prompt
    shared: tuple[int, ...]
    suffixes: tuple[tuple[int, ...], ...]
    alone: tuple[int, ...]
    accepted: tuple[int, ...]
    echo: int = -1
    first: tuple[int, ...] = ()


def longest(prompts: Sequence[EncodedPrompt]) -> int:
    """Tokens of the longest prompt."""
    return max(len(one.shared) + max(map(len, one.suffixes)) for one in prompts)


def encode_prompt(tokenizer: Any, template: Template, prompt: Prompt, limit: int) -> EncodedPrompt:
    """Token ids of one prompt, with its dummies, its query alone, and its answers' first tokens.

    Args:
        limit: the most tokens that the model takes.

    Raises:
        Joined: the tokenizer joins an arrow with the answer that follows.
        IclVectorsError: the prompt is longer than the model takes.
    """
    lines = prompt.demonstrations
    any_answer = lines[0][1] if lines else prompt.answers[0]
    full = encode_to_arrow(tokenizer, template, template.prompt(lines, prompt.query), any_answer)
    demonstration_arrows(tokenizer, template, prompt, full)  # refuses joined ones
    named = prompt.instruction
    dummies = [
        encode_to_arrow(
            tokenizer,
            template,
            template.query(dummy, named) if named else template.prompt(lines, dummy),
            any_answer,
        )
        for dummy in prompt.dummies
    ]
    alone = encode_to_arrow(tokenizer, template, template.query(prompt.query), any_answer)
    if (longest := max(map(len, [full, *dummies]))) > limit:
        raise IclVectorsError(
            f"prompt {prompt.id}: found {longest} tokens, expected at most {limit}, which is what "
            "the model takes; lower --shots (a truncated prompt would lose demonstrations)."
        )
    cut = _common_length([full, *dummies])
    return EncodedPrompt(
        prompt=prompt,
        shared=tuple(full[:cut]),
        suffixes=tuple(tuple(ids[cut:]) for ids in [full, *dummies]),
        alone=tuple(alone),
        accepted=first_tokens(tokenizer, template, template.query(prompt.query), prompt.answers),
        echo=echo_of(tokenizer, template, alone, prompt.query),
    )


def as_one(prompts: Sequence[EncodedPrompt]) -> EncodedPrompt:
    """Prompts of the same demonstrations and dummies as one: all queries' suffixes, then theirs."""
    first = prompts[0]
    ends = [one.shared + one.suffixes[0] for one in prompts]
    ends += [first.shared + suffix for suffix in first.suffixes[1:]]
    cut = _common_length(ends)
    return replace(first, shared=ends[0][:cut], suffixes=tuple(ids[cut:] for ids in ends))


def encode_to_arrow(tokenizer: Any, template: Template, text: str, answer: str | None) -> list[int]:
    """Token ids of a text that ends at an arrow; the last id is the arrow.

    Args:
        answer: something that may follow, to check that it is not joined to the arrow.

    Raises:
        IclVectorsError: with the answer attached, the tokenizer joins arrow and answer.
    """
    ids, ends = _tokens(tokenizer, text)
    arrow = _arrow_index(ends, text, template)
    if answer is None:
        return ids[: arrow + 1]
    attached, attached_ends = _tokens(tokenizer, text + template.gap + answer)
    if attached[: arrow + 1] != ids[: arrow + 1] or attached_ends[arrow] != len(text):
        raise Joined(template, answer)
    return ids[: arrow + 1]


def demonstration_arrows(
    tokenizer: Any, template: Template, prompt: Prompt, ids: Sequence[int]
) -> tuple[int, ...]:
    """Where each demonstration has its arrow, as indices into the prompt's tokens.

    Args:
        ids: the tokens of demonstrations and query, up to the query's arrow.

    Raises:
        IclVectorsError: an arrow's last character is joined to what follows.
    """
    text = template.prompt(prompt.demonstrations, prompt.query)
    tokens, ends = _tokens(tokenizer, text)
    start, found = len(template.turn.head), []
    for input, output in prompt.demonstrations:
        end = start + len(template.to_arrow(input))
        if end not in ends[: len(ids)] or tokens[: len(ids)] != list(ids):
            raise Joined(template, output)
        found.append(len(ids) - 1 - ends[: len(ids)][::-1].index(end))
        start += len(template.line(input, output))
    return tuple(found)


def encode_plain(tokenizer: Any, text: str) -> list[int]:
    """A text on its own, BOS included, up to the token that ends it."""
    ids, ends = _tokens(tokenizer, text)
    last = max(index for index, end in enumerate(ends) if end == len(text))
    return ids[: last + 1]


def first_tokens(
    tokenizer: Any, template: Template, text: str, answers: Sequence[str]
) -> tuple[int, ...]:
    """The first token of each answer, as it is when it follows the arrow (not on its own)."""
    ids = encode_to_arrow(tokenizer, template, text, answers[0])
    found = {answer_tokens(tokenizer, template, text, answer, ids)[0] for answer in answers}
    return tuple(sorted(found))


def answer_tokens(
    tokenizer: Any, template: Template, text: str, answer: str, ids: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The tokens of an answer, as they are when it follows the arrow.

    Args:
        ids: of the text up to its arrow, where they are known.
    """
    known = encode_to_arrow(tokenizer, template, text, answer) if ids is None else list(ids)
    attached, ends = _tokens(tokenizer, text + template.gap + answer)
    first = len(known)
    if attached[:first] != known or len(attached) == first:
        raise Joined(template, answer)
    if not (text + template.gap + answer)[len(text) : ends[first]].strip():
        raise IclVectorsError(
            f"template {template.text!r}: the first token after the arrow is blank, so it "
            f"tells nothing of the answer; remove the blanks before {{output}}."
        )
    shown = zip(attached[first:], ends[first:], strict=True)
    return tuple(token for token, end in shown if end)  # an appended EOS has offset 0


def echo_of(tokenizer: Any, template: Template, alone: Sequence[int], query: str) -> int:
    """The first token of a query where its answer would stand, or −1 where the arrow joins it."""
    text = template.query(query) + template.gap + query
    attached, _ = _tokens(tokenizer, text)
    keeps = attached[: len(alone)] == list(alone) and len(attached) > len(alone)
    return attached[len(alone)] if keeps else -1


def _tokens(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Token ids and, for each, the character offset at which it ends."""
    encoded = tokenizer(text, return_offsets_mapping=True, verbose=False)
    return list(encoded["input_ids"]), [end for _, end in encoded["offset_mapping"]]


def _arrow_index(ends: Sequence[int], text: str, template: Template) -> int:
    """Index of the last token that ends where the text ends (an appended EOS has offset 0)."""
    for index in range(len(ends) - 1, -1, -1):
        if ends[index] == len(text):
            return index
    raise IclVectorsError(
        f"template {template.text!r}: expected a token that ends with the arrow, found none; "
        "this tokenizer drops or truncates text."
    )


def _common_length(sequences: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all sequences share, leaving each at least one of its own."""
    shortest = min(map(len, sequences)) - 1
    for index in range(shortest):
        if len({sequence[index] for sequence in sequences}) > 1:
            return index
    return shortest


def describe_prompt(tokenizer: Any, ids: Sequence[int]) -> str:
    """The tokens of a prompt with the arrow marked, for people to read."""
    tokens = [repr(tokenizer.decode([token]))[1:-1] for token in ids]
    return " ".join(f"[{token}]" for token in tokens[:-1]) + f" ⟦{tokens[-1]}⟧"

"""`apply` is f(x; θ): the rule applied to queries, θ injected, no demonstrations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, TypedDict, Unpack, overload

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icl_vectors.errors import IclVectorsError, not_finite, unknown_name
from icl_vectors.given import takes_numbers, texts
from icl_vectors.graph.task import run_application
from icl_vectors.models.load import Model, as_model
from icl_vectors.models.memory import LARGEST_ON_CPU, LARGEST_ON_GPU, with_smaller_batches
from icl_vectors.plain_text import fault_of_line
from icl_vectors.prompts.answers import cut_answer, ending_tokens, tokens_that_end_a_line
from icl_vectors.prompts.batches import whole_prompts
from icl_vectors.prompts.encoding import encode_to_arrow
from icl_vectors.prompts.limits import positions_limit, require_room
from icl_vectors.prompts.template import Template, load_template
from icl_vectors.tasks.task import Demonstrations, demonstrated
from icl_vectors.turns import takes_turns
from icl_vectors.vectors.injection import MODES, Mode, mode_of, what_goes_in
from icl_vectors.vectors.vector import TaskVector

SHORTER = "shorten the query, or lower max_new_tokens (--max-new-tokens)"


@dataclass(frozen=True)
class Answers:
    """Answers to queries, with what the model said at the arrow.

    Attributes:
        texts: one answer a query.
        top: for each query, its likeliest first tokens with their probabilities; empty where
            `top_k` was not given.
        logits: after the arrow, float32, or None where they were not asked for.
    """

    queries: tuple[str, ...]
    texts: tuple[str, ...]
    top: tuple[tuple[tuple[str, float], ...], ...] = ()
    logits: Float[Tensor, "query vocab"] | None = None

    def _repr_html_(self) -> str:
        tops = self.top or [()] * len(self.queries)
        likeliest = [", ".join(f"{token!r} {value:.3f}" for token, value in top) for top in tops]
        rows = "".join(
            f"<tr><td>{escape(query)}</td><td>{escape(text)}</td><td>{escape(shown)}</td>"
            for query, text, shown in zip(self.queries, self.texts, likeliest, strict=True)
        )
        return f"<table><tr><th>query<th>answer<th>likeliest first tokens</tr>{rows}</table>"


class Options(TypedDict, total=False):
    """What every form of `apply` takes."""

    layer: int | Iterable[int] | None
    max_new_tokens: int
    mode: Mode | None
    scale: float
    force: bool
    batch_size: int | None
    demonstrations: Demonstrations | None


@overload
def apply(
    model: Any,
    theta: TaskVector | None,
    queries: str | Iterable[str],
    *,
    top_k: None = None,
    return_logits: Literal[False] = False,
    **options: Unpack[Options],
) -> list[str]: ...


@overload
def apply(
    model: Any,
    theta: TaskVector | None,
    queries: str | Iterable[str],
    *,
    top_k: int,
    return_logits: bool = False,
    **options: Unpack[Options],
) -> Answers: ...


@overload
def apply(
    model: Any,
    theta: TaskVector | None,
    queries: str | Iterable[str],
    *,
    top_k: int | None = None,
    return_logits: Literal[True],
    **options: Unpack[Options],
) -> Answers: ...


@takes_turns
@takes_numbers
def apply(
    model: Any,
    theta: TaskVector | None,
    queries: str | Iterable[str],
    *,
    layer: int | Iterable[int] | None = None,
    max_new_tokens: int = 8,
    mode: Mode | None = None,
    scale: float = 1.0,
    force: bool = False,
    batch_size: int | None = None,
    demonstrations: Demonstrations | None = None,
    top_k: int | None = None,
    return_logits: bool = False,
) -> list[str] | Answers:
    """f(x; θ): answers to queries without demonstrations, θ injected at the arrow.

    Args:
        theta: a vector of this model; None gives the baseline, without injection.
        layer: the decoder block whose output is replaced, or several of them; negative ones count
            from the end. Needed only where the vector holds several and names no best one. Of a
            state vector: the last block whose attention is replaced; not for an in-context vector,
            which goes into all.
        max_new_tokens: the answer ends there, or where the template ends a line.
        mode: "replace" replaces the state with θ, as in the paper; "add" adds it. By default
            what the vector's method does.
        scale: θ is multiplied by it first.
        force: use a vector of another model, where its shape allows.
        batch_size: queries at once; halved when memory runs out.
        demonstrations: of the prompt that θ is injected into, for a conflict; none as in the paper.
        top_k: also the likeliest first tokens with their probabilities.
        return_logits: also the logits after the arrow.

    Returns:
        One answer a query, in order, without blanks around it; with `top_k` or `return_logits`
        an `Answers` that holds them too.

    Raises:
        IclVectorsError: the vector belongs to another model, no layer is named, or a query
            with its answer is longer than the model takes.
    """
    model = as_model(model)
    asked = check_queries(queries, max_new_tokens, mode, top_k, model)
    injected = {} if theta is None else what_goes_in(model, theta, layer, scale, force)
    form = theta.form if theta else Template()
    shown = [] if demonstrations is None else demonstrated(demonstrations)
    answers = _answer(
        model,
        form,
        asked,
        [form.prompt(shown, query) for query in asked],
        injected,
        max_new_tokens,
        batch_size=batch_size,
        mode="replace" if theta is None else mode_of(theta, mode),
        top=top_k or 0,
        with_logits=return_logits,
    )
    return answers if top_k is not None or return_logits else list(answers.texts)


@takes_turns
def regular(
    model: Any,
    demonstrations: Demonstrations,
    queries: Sequence[str],
    *,
    template: str = "{input}→{output}",
    max_new_tokens: int = 8,
) -> list[str]:
    """Ordinary in-context learning: answers to queries after the demonstrations."""
    model, form = as_model(model), load_template(template)
    shown = demonstrated(demonstrations)
    prompts = [form.prompt(shown, query) for query in queries]
    return list(_answer(model, form, list(queries), prompts, {}, max_new_tokens).texts)


def check_queries(
    queries: str | Iterable[str],
    max_new_tokens: int,
    mode: str | None,
    top_k: int | None,
    model: Model,
) -> list[str]:
    """Queries as a list, each of one line.

    Raises:
        IclVectorsError: naming the query or the option that is wrong.
    """
    asked = texts([queries] if isinstance(queries, str) else queries, "queries")
    if wrong := [query for query in asked if not isinstance(query, str)]:
        raise IclVectorsError(f"expected queries that are text, found {wrong[0]!r}.")
    if not asked or not all(query.strip() for query in asked):
        raise IclVectorsError("expected queries that are not blank, found none or a blank one.")
    for query in asked:
        if fault := fault_of_line(query):
            raise IclVectorsError(f"query {query!r}: expected one line, found {fault}.")
    if not isinstance(max_new_tokens, int) or max_new_tokens < 1:
        raise IclVectorsError(f"--max-new-tokens {max_new_tokens}: expected 1 or more.")
    if mode is not None and mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    if top_k is not None and not (isinstance(top_k, int) and 1 <= top_k <= model.vocab_size):
        raise IclVectorsError(f"--top-k {top_k}: expected 1 to {model.vocab_size} tokens.")
    return asked


def _answer(
    model: Model,
    form: Template,
    queries: Sequence[str],
    texts: Sequence[str],
    injected: dict[int, Tensor],
    steps: int,
    *,
    batch_size: int | None = None,
    **asked: Any,
) -> Answers:
    """Answers to texts that end at an arrow, some at a time."""
    tokenizer = model.tokenizer
    rows = [encode_to_arrow(tokenizer, form, text, None) for text in texts]
    limit = positions_limit(model)
    for query, row in zip(queries, rows, strict=True):
        require_room(f"query {query[:40]!r}", len(row), steps, limit, SHORTER)
    of_text = ending_tokens(model.nnsight._module, tokenizer)
    ends = (*of_text, *tokens_that_end_a_line(tokenizer, form))
    options = {"ends": ends, "with_logits": False, **asked}

    def run(size: int) -> list[dict[str, Any]]:
        batches = [
            whole_prompts(rows[start : start + size], model.way)
            for start in range(0, len(rows), size)
        ]
        return [run_application(model, batch, injected, steps, **options) for batch in batches]

    largest = LARGEST_ON_CPU if model.device == "cpu" else LARGEST_ON_GPU
    found, _ = with_smaller_batches(run, batch_size or largest)
    if not all(bool(part["finite"]) for part in found):
        raise not_finite("the logits", model.dtype, model.device)
    written = [row for part in found for row in part["tokens"].tolist()]
    return Answers(
        queries=tuple(queries),
        texts=tuple(cut_answer(tokenizer, form, row, of_text) for row in written),
        top=tuple(
            likeliest(tokenizer, *row)
            for part in found
            for row in zip(*part.get("top", ()), strict=True)
        ),
        logits=torch.cat([part["logits"] for part in found]) if "logits" in found[0] else None,
    )


def likeliest(
    tokenizer: Any, probabilities: Float[Tensor, " top"], tokens: Int[Tensor, " top"]
) -> tuple[tuple[str, float], ...]:
    """Tokens as texts, each with its probability."""
    texts = [tokenizer.decode([token]) for token in tokens.tolist()]
    return tuple(zip(texts, probabilities.tolist(), strict=True))

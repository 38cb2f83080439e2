"""`apply_by_layer`: what is answered with θ at each block, beside baseline and regular."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.given import takes_numbers
from icl_vectors.graph.experiments import run_by_layer
from icl_vectors.models.load import Model, as_model
from icl_vectors.models.memory import LARGEST_ON_CPU, LARGEST_ON_GPU, with_smaller_batches
from icl_vectors.prompts.batches import make_batches
from icl_vectors.prompts.encoding import (
    EncodedPrompt,
    as_one,
    echo_of,
    encode_prompt,
    encode_to_arrow,
)
from icl_vectors.prompts.limits import encode_prompts, positions_limit, require_room
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.tasks.task import Demonstrations, demonstrated
from icl_vectors.turns import takes_turns
from icl_vectors.vectors.apply import SHORTER, check_queries, likeliest
from icl_vectors.vectors.injection import MODES, Mode, held_layers, mode_of, what_goes_in
from icl_vectors.vectors.vector import TaskVector

if TYPE_CHECKING:
    import pandas

TYPES = {  # unknown where θ keeps no demonstrations
    "equals_regular": "boolean",
    "copies_dummy": "boolean",
    "regular_probability": "float64",
}


@takes_turns
@takes_numbers
def apply_by_layer(
    model: Any,
    theta: TaskVector,
    queries: str | Iterable[str],
    *,
    layers: str | Iterable[int] = "all",
    mode: Mode | None = None,
    scale: float = 1.0,
    force: bool = False,
    top_k: int | None = None,
    demonstrations: Demonstrations | None = None,
) -> "pandas.DataFrame":
    """The first token answered to each query with θ injected at each block, one trace for all.

    Args:
        layers: of those that the vector holds: "all", "A:B[:STEP]", "I,J,…" or [I, J, …].
        mode: "replace" replaces the state with θ; "add" adds it; by default as its method.
        scale: θ is multiplied by it first.
        force: use a vector of another model, where its shape allows.
        top_k: also the likeliest tokens, (token, probability) each.
        demonstrations: of the prompt that θ is injected into, for a conflict (paper,
            section 4.2): `baseline` then answers that prompt, `regular` one of θ's own.

    Returns:
        One row a query and layer, in this order:
        query, layer; answer: the likeliest first token, and its probability;
        equals_regular: whether it is the answer after θ's demonstrations; echo: whether it is the
        query's own first token, blanks aside; copies_dummy: whether it is what the model answers
        to one of θ's dummies; regular, baseline: the answers with the demonstrations and without,
        and their regular_probability, baseline_probability; with `top_k` top. Where θ keeps no
        demonstrations (a mean over prompts), what needs them is missing.

    Raises:
        IclVectorsError: as `apply`; or the vector's method has no one block to go in at.
    """
    import pandas

    model = as_model(model)
    asked = check_queries(queries, 1, mode, top_k, model)
    chosen = held_layers(model, theta, layers)
    how = mode_of(theta, mode)
    if how not in MODES:
        raise IclVectorsError(
            f"by layer: expected a vector that is injected at one block, found one of the method "
            f"{theta.method}, which is injected at many; use apply."
        )
    injected = what_goes_in(model, theta, chosen, scale, force)
    encoded = list(_encode(model, theta, asked))
    together = as_one(encoded)
    if demonstrations is not None:
        shown = demonstrated(demonstrations)
        prompts = [replace(one.prompt, demonstrations=tuple(shown), dummies=()) for one in encoded]
        own = encode_prompts(model, theta.form, prompts)
        encoded = [
            replace(one, alone=other.shared + other.suffixes[0])
            for one, other in zip(encoded, own, strict=True)
        ]
    thetas = torch.stack([injected[layer] for layer in chosen])  # (layer, hidden)

    def run(size: int) -> dict[str, Any]:
        ends, width = together.suffixes, size + len(theta.dummies)
        starts = range(0, len(ends), width)
        parts = [replace(together, suffixes=ends[start : start + width]) for start in starts]
        return run_by_layer(
            model,
            make_batches(parts, 1, model.way),
            make_batches(encoded, size, model.way),
            thetas,
            chosen,
            top_k or 1,
            adds=how == "add",
        )

    rows = LARGEST_ON_CPU * 8 if model.device == "cpu" else LARGEST_ON_GPU * 4
    found, _ = with_smaller_batches(run, max(1, rows // len(chosen)))
    if not all(bool(probabilities.isfinite().all()) for probabilities, _ in found.values()):
        raise not_finite("the logits", model.dtype, model.device)
    frame = pandas.DataFrame(_records(model.tokenizer, encoded, chosen, found)).astype(TYPES)
    return frame if top_k else frame.drop(columns="top")


def _encode(model: Model, theta: TaskVector, queries: Sequence[str]) -> Iterator[EncodedPrompt]:
    """Each query after θ's demonstrations, and alone; where it keeps none, alone."""
    form, tokenizer, limit = theta.form, model.tokenizer, positions_limit(model)
    for query in queries:
        prompt = Prompt(
            id=f"query {query[:40]!r}",
            task=theta.task,
            seed=0,
            split="test",
            query=query,
            answers=tuple(output for _, output in theta.demonstrations[:1]),
            demonstrations=theta.demonstrations,
            dummies=theta.dummies,
            instruction=theta.instruction,
        )
        if theta.demonstrations:
            yield encode_prompt(tokenizer, form, prompt, limit)
            continue
        alone = tuple(encode_to_arrow(tokenizer, form, form.query(query), None))
        require_room(prompt.id, len(alone), 1, limit, SHORTER)
        yield EncodedPrompt(prompt, (), (alone,), alone, (), echo_of(tokenizer, form, alone, query))


def _records(
    tokenizer: Any,
    encoded: Sequence[EncodedPrompt],
    layers: Sequence[int],
    found: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Each query and layer as a row."""
    after = found["demonstrated"][1][:, 0].tolist()  # tokens: the queries', then the dummies'
    own = {*after[len(encoded) :]}

    def top(kind: str, *at: int) -> tuple[tuple[str, float], ...]:
        return likeliest(tokenizer, *(part[at] for part in found[kind]))

    for row, one in enumerate(encoded):
        known = bool(one.prompt.demonstrations)
        regular, of_regular = _answer(top("demonstrated", row))
        baseline, of_baseline = _answer(top("alone", row, 0))
        echo = tokenizer.decode([one.echo]).strip() if one.echo >= 0 else ""
        for column, layer in enumerate(layers, start=1):
            token = int(found["alone"][1][row, column, 0])
            answer, probability = _answer(shown := top("alone", row, column))
            yield {
                "query": one.prompt.query,
                "layer": layer,
                "answer": answer,
                "probability": probability,
                "equals_regular": token == after[row] if known else None,
                "echo": answer == echo,
                "copies_dummy": token in own if known else None,
                "regular": regular if known else None,
                "baseline": baseline,
                "regular_probability": of_regular if known else None,
                "baseline_probability": of_baseline,
                "top": shown,
            }


def _answer(top: tuple[tuple[str, float], ...]) -> tuple[str, float]:
    """The likeliest token without blanks around it, unless it is blank, and its probability."""
    text, probability = top[0]
    return text.strip() or text, probability

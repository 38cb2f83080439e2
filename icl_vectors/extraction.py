"""`extract` is A, what the demonstrations teach; `apply` is f(x; θ), the rule applied."""

from collections.abc import Mapping, Sequence
from typing import Any

from icl_vectors.batches import make_batches, whole_prompts
from icl_vectors.encoding import encode_prompt, encode_to_arrow
from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.graph import run_application, run_extraction
from icl_vectors.layers import parse_layer, parse_layers
from icl_vectors.limits import positions_limit
from icl_vectors.models import Model, as_model
from icl_vectors.prompts import Prompt
from icl_vectors.tasks import Outputs, Task
from icl_vectors.templates import Template, load_template
from icl_vectors.vectors import TaskVector

HELD_OUT = 2  # demonstrations whose inputs become the dummies where none are given
LEFT_AT_LEAST = 2  # demonstrations that must remain then


def extract(
    model: Any,
    demonstrations: Mapping[str, Outputs] | Sequence[tuple[str, Outputs]],
    dummies: Sequence[str] = (),
    *,
    layers: str = "all",
    template: str = "{input}→{output}",
    task: str = "",
    seed: int | None = None,
) -> TaskVector:
    """θ(S): the states at the last arrow of "demonstrations dummy→", averaged over the dummies.

    Args:
        demonstrations: input–output pairs S, in the order of the prompt.
        dummies: inputs x′ that stand in for a query (paper, section 2). Without any, the inputs
            of the last two demonstrations are held out and used.
        layers: decoder blocks to keep: "all", "A:B[:STEP]" or "I,J,…".
        task, seed: kept with the vector, for people.

    Returns:
        A vector of shape (layer, hidden), float32.

    Raises:
        IclVectorsError: too few demonstrations, a dummy that is demonstrated, or a template
            whose arrow this tokenizer can't tell.
    """
    model, form = as_model(model), load_template(template)
    pairs = [(i, outputs[0]) for i, outputs in Task.from_pairs(task, demonstrations).pairs]
    if not dummies:
        pairs, dummies = _hold_out(pairs)
    _check_dummies(pairs, dummies)
    prompt = Prompt(
        id="extract",
        task=task,
        seed=seed or 0,
        split="test",
        query=dummies[0],
        answers=(pairs[0][1],),
        demonstrations=tuple(pairs),
        dummies=tuple(dummies),
    )
    encoded = encode_prompt(model.tokenizer, form, prompt, positions_limit(model))
    batch = make_batches([encoded], 1, model.architecture.takes_positions)[0]
    theta = run_extraction(model, batch)["theta"][0]  # (layer, hidden)
    if not theta.isfinite().all():
        raise not_finite("the states", model.dtype, model.device)
    vector = TaskVector(
        vectors=theta,
        layers=tuple(range(model.n_layers)),
        model=model.reference,
        revision=model.revision,
        fingerprint=model.fingerprint,
        dtype=model.dtype,
        template=form.text,
        task=task,
        seed=seed,
        demonstrations=tuple(pairs),
        dummies=tuple(dummies),
    )
    return vector.only(parse_layers(layers, model.n_layers))


def apply(
    model: Any,
    theta: TaskVector | None,
    queries: str | Sequence[str],
    *,
    layer: int | None = None,
    max_new_tokens: int = 8,
) -> list[str]:
    """f(x; θ): answers to queries without demonstrations, θ put in at the arrow of one block.

    Args:
        theta: a vector of this model; None gives the baseline, without injection.
        layer: the decoder block whose output is replaced; negative counts from the end. Needed
            only where the vector holds several layers and names no best one.
        max_new_tokens: the answer ends there, or where the template ends a line.

    Returns:
        One answer a query, in order, without blanks around it.

    Raises:
        IclVectorsError: the vector belongs to another model, or no layer can be told.
    """
    model = as_model(model)
    queries = [queries] if isinstance(queries, str) else list(queries)
    if not queries or not all(query.strip() for query in queries):
        raise IclVectorsError("expected queries that are not blank, found none or a blank one.")
    if max_new_tokens < 1:
        raise IclVectorsError(f"--max-new-tokens {max_new_tokens}: expected 1 or more.")
    put_in = {}
    if theta is not None:
        theta.require_model(model.fingerprint, model.reference)
        chosen = parse_layer(choose_layer(theta, layer), model.n_layers)
        put_in = {chosen: theta.at(chosen)}
    form = Template(theta.template) if theta else Template()
    return _answer(model, form, [form.query(query) for query in queries], put_in, max_new_tokens)


def choose_layer(theta: TaskVector, layer: int | None = None) -> int:
    """The layer to use: the one asked for, else the vector's best one, else its only one.

    Raises:
        IclVectorsError: the vector holds several layers and names no best one.
    """
    if layer is not None:
        return layer
    if theta.best_layer is not None:
        return theta.best_layer
    if len(theta.layers) == 1:
        return theta.layers[0]
    raise IclVectorsError(
        f"this task vector holds {len(theta.layers)} layers and names no best one; "
        f"give layer (--layer), near {theta.layers[len(theta.layers) // 2]} as a start."
    )


def regular(
    model: Any,
    demonstrations: Mapping[str, str] | Sequence[tuple[str, str]],
    queries: Sequence[str],
    *,
    template: str = "{input}→{output}",
    max_new_tokens: int = 8,
) -> list[str]:
    """Ordinary in-context learning: answers to queries after the demonstrations."""
    model, form = as_model(model), load_template(template)
    as_mapping: dict[str, str] = dict(demonstrations)
    texts = [form.prompt(list(as_mapping.items()), query) for query in queries]
    return _answer(model, form, texts, {}, max_new_tokens)


def _answer(
    model: Model, form: Template, texts: Sequence[str], put_in: dict[int, Any], steps: int
) -> list[str]:
    rows = [encode_to_arrow(model.tokenizer, form, text, None) for text in texts]
    inputs = whole_prompts(rows, model.architecture.takes_positions)
    found = run_application(model, inputs, put_in, steps)
    if not found["logits"].max(-1).values.isfinite().all():
        raise not_finite("the logits", model.dtype, model.device)
    written = model.tokenizer.batch_decode(found["tokens"], skip_special_tokens=True)
    return [_until_end(text, form) for text in written]


def _until_end(text: str, form: Template) -> str:
    """The answer's text, up to what ends a line of the template."""
    text = text.lstrip() if form.gap else text
    for end in filter(None, (form.after, form.after.rstrip(), "\n")):
        text = text.split(end)[0]
    return text.strip()


def _hold_out(pairs: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    if len(pairs) < HELD_OUT + LEFT_AT_LEAST:
        raise IclVectorsError(
            f"expected dummies, or at least {HELD_OUT + LEFT_AT_LEAST} demonstrations to hold out "
            f"{HELD_OUT} of them as dummies, found {len(pairs)} demonstrations; add dummies=[…]."
        )
    return pairs[:-HELD_OUT], [input for input, _ in pairs[-HELD_OUT:]]


def _check_dummies(pairs: Sequence[tuple[str, str]], dummies: Sequence[str]) -> None:
    shown = {input for input, _ in pairs}
    if demonstrated := [dummy for dummy in dummies if dummy in shown or not dummy.strip()]:
        raise IclVectorsError(
            f"expected dummies that are not blank and not demonstrated, found {demonstrated[0]!r}."
        )

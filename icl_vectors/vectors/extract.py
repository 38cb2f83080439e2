"""`extract` is A(S): what the demonstrations teach, as a vector θ at every layer."""

from collections.abc import Iterable, Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.given import takes_numbers, texts
from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.layers import parse_layers
from icl_vectors.models.load import Model, as_model
from icl_vectors.notebook import default_observer
from icl_vectors.observer import Observer
from icl_vectors.plain_text import fault_of_line
from icl_vectors.prompts.batches import make_batches
from icl_vectors.prompts.chat import in_chat
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.limits import encode_prompts
from icl_vectors.prompts.sampling import Prompt, sample_prompts
from icl_vectors.prompts.template import load_template
from icl_vectors.tasks.task import Demonstrations, Task, demonstrated
from icl_vectors.turns import takes_turns
from icl_vectors.vectors.extract_methods import (
    MethodVectors,
    in_batches,
    require_method,
    require_task,
    vectors_by_method,
)
from icl_vectors.vectors.vector import TaskVector

HELD_OUT = 2  # demonstrations whose inputs become the dummies where none are given
LEFT_AT_LEAST = 2  # demonstrations that must remain then
SEED = 41  # of that draw
OF_DUMMIES = ("state", "state-mean", "state-mean-add")  # methods that read no demonstration


@takes_turns
@takes_numbers
def extract(
    model: Any,
    demonstrations: Task | Demonstrations,
    dummies: Iterable[str] = (),
    *,
    layers: str | Iterable[int] = "all",
    template: str = "{input}→{output}",
    task: str = "",
    seed: int | None = None,
    shots: int = 5,
    draw_dummies: int = 2,
    prompts: int = 1,
    method: str = "state",
    heads: str | Path | None = None,
    instruction: str = "",
    chat: bool = False,
    observer: Observer | None = None,
) -> TaskVector:
    """θ(S): the states at the last arrow of "demonstrations dummy→", averaged over the dummies.

    Args:
        demonstrations: input–output pairs S, in the order of the prompt; or a task, from which
            they are drawn, with two dummies, by `seed`.
        dummies: inputs x′ that stand in for a query (paper, section 2). Without any, the inputs
            of the last two demonstrations are held out and used.
        layers: decoder blocks to keep: "all", "A:B[:STEP]", "I,J,…" or [I, J, …].
        task: a name, kept with the vector, for people.
        seed: kept with the vector; of the draw from a task, 41 where none is given.
        shots: demonstrations of a prompt that is drawn from a task.
        draw_dummies: dummies of such a prompt.
        prompts: how many such prompts θ is averaged over, each with draws of its own.
        method: what kind of vector; `apply` injects it as its paper does. state, state-mean,
            state-mean-add, function, icv, state-vector, learned or linear, see
            `icl_vectors.methods`.
        heads: for function, the heads.json of a comparison; without it the heads are ranked on
            these prompts.
        instruction: one line that replaces the demonstrations, which may then be none.
        chat: the prompts are in a user's turn, by the tokenizer's chat template.
        observer: for learned, is called for each block that is trained; a bar in a notebook where
            None.

    Returns:
        A vector of shape (layer, hidden), float32.

    Raises:
        IclVectorsError: too few demonstrations, a dummy that is demonstrated, or a template
            whose arrow this tokenizer can't tell.
    """
    model, form = as_model(model), load_template(template)
    form = in_chat(form, model.tokenizer) if chat else form
    asked = prompts_asked(
        demonstrations,
        dummies,
        task=task,
        seed=seed,
        shots=shots,
        draw_dummies=draw_dummies,
        prompts=prompts,
        method=method,
        instruction=instruction,
    )
    if isinstance(demonstrations, Task):
        seed, task = asked[0].seed, task or demonstrations.name
    encoded = encode_prompts(model, form, asked)
    if method == "state":
        found: MethodVectors = (_state(model, encoded), None, "")
    else:
        kept = parse_layers(layers, model.n_layers)
        found = vectors_by_method(
            model, form, method, encoded, heads, kept, observer or default_observer()
        )
    theta, best_layer, made_by = found
    if not theta.isfinite().all():
        raise not_finite("the states", model.dtype, model.device)
    only = asked[0] if len(asked) == 1 else None
    shown = "the instruction" if instruction else f"{shots} demonstrations"
    averaged = "" if only else f"mean over {len(asked)} prompts of {shown}"
    vector = TaskVector.of_model(
        model,
        form,
        theta,
        instruction=instruction,
        task=task,
        seed=seed,
        demonstrations=only.demonstrations if only else (),
        dummies=only.dummies if only else (),
        made_by="; ".join(filter(None, (made_by, averaged))),
        best_layer=best_layer,
        method=method,
    )
    return vector.only(parse_layers(layers, model.n_layers))


def prompts_asked(
    demonstrations: Task | Demonstrations,
    dummies: Iterable[str] = (),
    *,
    task: str = "",
    seed: int | None = None,
    shots: int = 5,
    draw_dummies: int = 2,
    prompts: int = 1,
    method: str = "state",
    instruction: str = "",
) -> list[Prompt]:
    """The prompts whose states `extract` reads; refuses, without a model, what it can't do.

    Raises:
        IclVectorsError: as `extract`.
    """
    if isinstance(dummies, str):
        raise IclVectorsError(f"dummies {dummies!r}: expected a list of texts: [{dummies!r}].")
    dummies, drawn = texts(dummies, "dummies"), isinstance(demonstrations, Task)
    if method != "state":
        require_method(method)
        if instruction and method not in OF_DUMMIES:
            raise IclVectorsError(
                f"method {method}: expected one that reads θ at the dummies' arrows "
                f"({', '.join(OF_DUMMIES)}), as an instruction replaces the demonstrations."
            )
        require_task(method, prompts, drawn)
    if isinstance(demonstrations, Task):
        seed = SEED if seed is None else seed
        asked = _draw(demonstrations, dummies, seed, shots, draw_dummies, prompts)
    else:
        if prompts != 1:
            raise IclVectorsError(
                f"prompts {prompts}: expected 1 with demonstrations of your own; give a Task "
                "(Task.from_pairs(…)) to draw several prompts from it."
            )
        asked = [_given(demonstrations, dummies, task, seed, bool(instruction))]
    if fault := fault_of_line(instruction):
        raise IclVectorsError(f"instruction {instruction!r}: expected one line, found {fault}.")
    return [replace(one, instruction=instruction) for one in asked]


def _state(model: Model, encoded: Sequence[EncodedPrompt]) -> Tensor:
    """θ at every block, mean over the prompts, (layer, hidden)."""

    def run(size: int) -> Tensor:
        batches = make_batches(encoded, size, model.way, with_query=False)
        return run_many_thetas(model, batches, None)

    return in_batches(run, model, encoded).float().mean(0)  # over the prompts


def _draw(
    task: Task, dummies: Sequence[str], seed: int, shots: int, draw_dummies: int, prompts: int
) -> list[Prompt]:
    """Prompts drawn from a task; dummies that are given take the place of those drawn."""
    for name, count in (("shots", shots), ("dummies", draw_dummies), ("prompts", prompts)):
        if count < 1:
            raise IclVectorsError(f"{name} {count}: expected 1 or more.")
    others = replace(task, pairs=tuple(one for one in task.pairs if one[0] not in {*dummies}))
    counts: dict[str, Any] = {"test": prompts, "shots": shots, "dummies": draw_dummies}
    drawn = sample_prompts(others, seed=seed, dev=0, **counts)[1]
    return [replace(one, dummies=tuple(dummies)) for one in drawn] if dummies else drawn


def _given(
    demonstrations: Demonstrations,
    dummies: Sequence[str],
    task: str,
    seed: int | None,
    instructed: bool,
) -> Prompt:
    """The one prompt of demonstrations that were given; of none where an instruction stands."""
    none = instructed and isinstance(demonstrations, Sized) and not len(demonstrations)
    pairs = [] if none else demonstrated(demonstrations, task)
    if none and not dummies:
        raise IclVectorsError("instruction: expected dummies to read θ at, found none.")
    if not dummies:
        pairs, dummies = _hold_out(pairs)
    _check_dummies(pairs, dummies)
    return Prompt(
        id="extract",
        task=task,
        seed=seed or 0,
        split="test",
        query=dummies[0],
        answers=(pairs[0][1] if pairs else dummies[0],),
        demonstrations=tuple(pairs),
        dummies=tuple(dummies),
    )


def _hold_out(pairs: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    if len(pairs) < HELD_OUT + LEFT_AT_LEAST:
        raise IclVectorsError(
            f"expected dummies, or at least {HELD_OUT + LEFT_AT_LEAST} demonstrations to hold out "
            f"{HELD_OUT} of them as dummies, found {len(pairs)} demonstrations; add dummies=[…]."
        )
    return pairs[:-HELD_OUT], [input for input, _ in pairs[-HELD_OUT:]]


def _check_dummies(pairs: Sequence[tuple[str, str]], dummies: Sequence[str]) -> None:
    for dummy in dummies:
        fault = fault_of_line(dummy) if isinstance(dummy, str) else "no text"
        if fault:
            raise IclVectorsError(f"dummy {dummy!r}: expected one line of text, found {fault}.")
    shown = {input for input, _ in pairs}
    if demonstrated := [dummy for dummy in dummies if dummy in shown or not dummy.strip()]:
        raise IclVectorsError(
            f"expected dummies that are not blank and not demonstrated, found {demonstrated[0]!r}."
        )

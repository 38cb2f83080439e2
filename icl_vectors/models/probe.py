"""What an open model shows of itself: may prompts be cached and padded, and blocks be skipped?

Two short prompts of made-up tokens are run as a sweep runs them, cached and whole. Where both give
the same, prompts are cached; else whole prompts are run, which asks nothing of a model but a state
at the last token.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from icl_vectors.errors import IclVectorsError, first_line
from icl_vectors.graph.passes import apply_theta, learn, read_query
from icl_vectors.models.model import Model
from icl_vectors.prompts.batches import Way, make_batches
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.sampling import Prompt

# Of the spread of the logits: what rounding may make of one computation done in two ways.
ROUNDING = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "int8": 3e-1}
OF_4_BITS = 1e-1  # nf4, fp4 and checkpoints' own quantisations compute in bfloat16
SHARED, ALONE = (40, 25), (6, 3)  # tokens of the demonstrations, and of the queries with them
NO_INJECTION = -1
ONCE = "its blocks do not run once each, in order"


def probed(model: Model) -> Model:
    """The model with the way it takes prompts, and why.

    Raises:
        IclVectorsError: its blocks do not run once each, so that no state stands for a block.
    """
    row_axis = _row_axis(model)
    whole = replace(model.way, cached=False, row_axis=row_axis)
    try:
        theta, expected = _found(model, whole)
    except Exception as error:  # whatever a model makes of whole prompts
        raise _refused(
            model,
            f"it does not run whole prompts ({_said(error)})",
        ) from error
    model = replace(model, way=replace(whole, cached=True), hidden=theta.shape[-1])
    reason = "" if row_axis == 0 else "its states have parallel streams"
    reason = reason or _difference(model, expected)
    return replace(model, way=whole, way_reason=reason) if reason else model


def unprobed(model: Model) -> Model:
    """The way of a model that a server holds, as the module claims it; `check` tests it there.

    Raises:
        IclVectorsError: its blocks take parallel streams, whose layout only a probe measures.
    """
    _require_one_stream(model)
    if model.architecture.keeps_cache:
        return model
    reason = "it does not keep keys and values alone"
    return replace(model, way=replace(model.way, cached=False), way_reason=reason)


def _require_one_stream(model: Model) -> None:
    try:
        shape = _first_input(model)
    except Exception:  # some models' masks need values, which the meta device has not
        return
    if len(shape) != 3:
        raise IclVectorsError(
            f"model type {model.config.model_type!r}: on a server, expected blocks that take "
            f"states (row, token, hidden), found parallel streams (shape {shape} for 2 rows of 7 "
            "tokens); run it on this machine, without --remote."
        )


def _first_input(model: Model) -> tuple[int, ...]:
    """The shape of what the first block takes, on any device; nothing above it is run."""
    module = model.nnsight._module
    device = next(module.parameters()).device
    hook = module.get_submodule(model.architecture.blocks[0]).register_forward_pre_hook(
        _stop, with_kwargs=True
    )
    try:
        with torch.no_grad():  # without a cache, transformers reads values to find packed rows
            module(input_ids=torch.full((2, 7), 5, device=device), use_cache=True)
    except _FirstBlock as reached:
        return tuple(reached.args[0])
    finally:
        hook.remove()
    raise _refused(model, ONCE)


class _FirstBlock(Exception):
    """A forward pass has come to the first block."""


def _stop(block: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
    raise _FirstBlock(next(one.shape for one in (*inputs, *named.values()) if torch.is_tensor(one)))


def _difference(model: Model, expected: Tensor) -> str:
    """What is not exact on the cached path, in words; empty where all is."""
    try:
        _, found = _found(model, model.way)
    except Exception as error:  # whatever a model makes of a cache that it does not keep
        return f"it does not run on a key-value cache ({type(error).__name__})"
    spread = float(expected[:, :3].amax(-1).sub(expected[:, :3].amin(-1)).mean()) or 1.0
    apart = (found - expected).abs().amax(-1) / spread  # (prompt, 3 + 1 + 2)
    bound = ROUNDING.get(model.dtype, OF_4_BITS)
    wrong = ~(apart <= bound)  # NaN is wrong too
    if not wrong.any() or not expected.isfinite().all():
        return ""
    if not wrong[:, :4].any():
        return "blocks below an injection can't be skipped"
    if not wrong[0, :4].any():
        return "padding changes its answers"
    return "cached prompts do not equal whole ones"


def _found(model: Model, way: Way) -> tuple[Tensor, Tensor]:
    """θ, and logits float32: of three suffixes, of the query, and with θ, (prompt, 6, vocab)."""
    [batch] = make_batches(_prompts(model), len(SHARED), way)
    nnsight, blocks, head = model.nnsight, model.blocks, model.head
    last = model.n_layers - 1
    groups = [[NO_INJECTION], sorted({last // 2, last})]
    with nnsight.session():
        with torch.no_grad():
            theta, answers, in_tuple = learn(nnsight, blocks, head, batch)
            before = read_query(nnsight, head, batch)
            found: Any = [answers]
            for layers in groups:
                found.append(
                    apply_theta(
                        nnsight, blocks, head, batch, before, theta[:, layers], layers, in_tuple
                    )
                )
            found = {"theta": theta, "logits": found}
            found = found.save()
    return found["theta"], torch.cat([one.float().cpu() for one in found["logits"]], 1)


def _prompts(model: Model) -> list[EncodedPrompt]:
    vocabulary = model.vocab_size

    def ids(start: int, count: int) -> tuple[int, ...]:
        return tuple((start * 31 + 7 * i * i + 11 * i + 5) % vocabulary for i in range(count))

    room = positions_limit(model) - ALONE[0] - 4  # of the longest suffix
    lengths = SHARED if room >= SHARED[0] else (max(2, room), max(1, room // 2))
    nobody = Prompt("probe", "", 0, "test", "", ("",), (), ())
    return [
        EncodedPrompt(
            prompt=nobody,
            shared=ids(number, shared),
            suffixes=(ids(2, alone), ids(3, 2), ids(4, 4)),
            alone=ids(5, alone),
            accepted=(0,),
        )
        for number, (shared, alone) in enumerate(zip(lengths, ALONE, strict=True))
    ]


def _row_axis(model: Model) -> int:
    """The axis of the rows in what blocks give: 0, or 1 behind parallel residual streams."""
    module = model.nnsight._module
    seen: list[tuple[int, Any]] = []
    rows, tokens = 2, 7
    hooks = [
        module.get_submodule(path).register_forward_hook(_seen_by(layer, seen))
        for layer, path in enumerate(model.architecture.blocks)
    ]
    device = next(module.parameters()).device
    try:
        with torch.no_grad():
            module(input_ids=torch.full((rows, tokens), 5, device=device), use_cache=False)
    except Exception as error:  # whatever a model says that does not take text alone
        raise _refused(
            model,
            f"it does not run on text alone ({_said(error)})",
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if [layer for layer, _ in seen] != list(range(model.n_layers)):
        raise _refused(model, ONCE)
    shape = seen[0][1]
    if shape[0] == rows and shape[1] >= tokens:
        return 0
    if len(shape) == 4 and tuple(shape[1:3]) == (rows, tokens):
        return 1
    raise _refused(model, f"its blocks give states of shape {tuple(shape)} for 2 rows of 7 tokens")


def _seen_by(layer: int, seen: list[Any]) -> Callable[..., None]:
    def hook(block: Any, inputs: Any, output: Any) -> None:
        state = output[0] if isinstance(output, tuple | list) else output
        seen.append((layer, state.shape))

    return hook


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error, 120)}"


def _refused(model: Model, what: str) -> IclVectorsError:
    kind = model.config.model_type
    return IclVectorsError(
        f"model type {kind!r}: {what}; expected a decoder whose blocks each give a state "
        "(row, token, hidden), once, in order."
    )

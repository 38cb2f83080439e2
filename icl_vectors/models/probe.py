"""What an open model shows of itself: may prompts be cached, blocks be skipped, θ be trained?

Two short prompts of made-up tokens are run as a sweep runs them, cached and whole. Where both give
the same, prompts are cached; else whole prompts are run, which asks nothing of a model but a state
at the last token.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from icl_vectors.errors import IclVectorsError, first_line
from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import apply_theta, read_query, read_theta
from icl_vectors.graph.read import probe_blocks
from icl_vectors.models.architecture import ROWS, TOKENS, as_run, block_runs, on_meta
from icl_vectors.models.memory_estimate import is_out_of_memory
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
LOOPS = "its blocks run several times in a pass"


def probed(model: Model) -> Model:
    """The model with the way it takes prompts, and why.

    Raises:
        IclVectorsError: its blocks do not run once each, so that no state stands for a block.
    """
    model, row_axis = _as_run(model)
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
    reason = LOOPS if model.architecture.has_loops else reason
    reason = reason or _difference(model, expected)
    return replace(model, way=whole, way_reason=reason) if reason else model


def unprobed(model: Model) -> Model:
    """The way of a model that a server holds, as the module claims it; `check` tests it there.

    Raises:
        IclVectorsError: its blocks take parallel streams, whose layout only a probe measures.
    """
    architecture, runs = on_meta(model.nnsight._module, model.architecture)
    if runs and len(runs[0].taken) != 3:
        raise IclVectorsError(
            f"model type {model.config.model_type!r}: on a server, expected blocks that take "
            f"states (row, token, hidden), found parallel streams (shape {runs[0].taken} for 2 "
            "rows of 7 tokens); run it on this machine, without --remote."
        )
    if architecture.keeps_cache:
        return model
    model = replace(model, architecture=architecture)
    reason = LOOPS if architecture.has_loops else "it does not keep keys and values alone"
    return replace(model, way=replace(model.way, cached=False), way_reason=reason)


def require_gradients(model: Model, method: str) -> None:
    """Refuse a method that is trained where no gradients are to be had; asked before it runs.

    Raises:
        IclVectorsError: the model is on a server, or no gradient reaches an injected state.
    """
    needed = f"method {method!r}: expected a model"
    if model.host is not None:
        raise IclVectorsError(
            f"{needed} on this machine, found one on {model.host}, and no server says whether it "
            "computes gradients; leave --remote out, or use linear."
        )
    try:
        reaches = _gradient_reaches(model)
    except Exception as error:  # whatever a family's own kernels make of a backward pass
        if is_out_of_memory(error):
            raise
        raise IclVectorsError(
            f"{needed} that gives gradients, found none through {model.config.model_type} in "
            f"{model.dtype} ({first_line(error, 100)}); use --dtype float32 or bfloat16, or linear."
        ) from error
    if not reaches:
        raise IclVectorsError(
            f"{needed} that gives gradients, found that an injected state changes nothing in "
            f"{model.config.model_type}; use another method."
        )


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
    nnsight, at = model.nnsight, hook_points(model)
    last = model.n_layers - 1
    groups = [[NO_INJECTION], sorted({last // 2, last})]
    with nnsight.session():
        with torch.no_grad():
            at = probe_blocks(nnsight, at, batch)
            theta, answers = read_theta(nnsight, at, batch)
            before = read_query(nnsight, at, batch)
            found: Any = [answers]
            for layers in groups:
                found.append(apply_theta(nnsight, at, batch, before, theta[:, layers], layers))
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


def _as_run(model: Model) -> tuple[Model, int]:
    """The model with its blocks as they run, and the axis of the rows in what they give.

    It is 0, or 1 behind parallel residual streams.
    """
    runs, error = block_runs(model.nnsight._module, model.architecture.blocks, use_cache=False)
    if error is not None:
        raise _refused(model, f"it does not run on text alone ({_said(error)})") from error
    model = replace(model, architecture=as_run(model.architecture, runs))
    if [run.path for run in runs] != [*model.architecture.blocks]:
        raise _refused(model, "its blocks do not run in order")
    shape = runs[0].given
    if shape[0] == ROWS and shape[1] >= TOKENS:
        return model, 0
    if len(shape) == 4 and shape[1:3] == (ROWS, TOKENS):
        return model, 1
    raise _refused(
        model, f"its blocks give states of shape {shape} for {ROWS} rows of {TOKENS} tokens"
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error, 120)}"


def _refused(model: Model, what: str) -> IclVectorsError:
    kind = model.config.model_type
    return IclVectorsError(
        f"model type {kind!r}: {what}; expected a decoder whose blocks each give a state "
        "(row, token, hidden), in order."
    )


def _gradient_reaches(model: Model) -> bool:
    """Whether logits have a gradient in a state that is injected in the middle of the model."""
    [batch] = make_batches(_prompts(model), len(SHARED), model.way, with_query=False)
    nnsight, at = model.nnsight, hook_points(model)
    middle = [model.n_layers // 2]
    with nnsight.session():
        with torch.no_grad():
            at = probe_blocks(nnsight, at, batch)
            theta, _ = read_theta(nnsight, at, batch)
            before = read_query(nnsight, at, batch)
            with torch.enable_grad():
                given = theta[:, middle].float().requires_grad_()  # (prompt, 1, hidden)
                injected = given.to(theta.dtype)
                logits = apply_theta(nnsight, at, batch, before, injected, middle)
                [slope] = torch.autograd.grad(logits.float().logsumexp(-1).sum(), given)
            found: Any = slope.abs().max().cpu()
            found = found.save()
    return bool(found > 0)

"""One task as one nnsight session: θ and sweep on dev, the layer chosen, then test.

The body of the session holds nothing but tensors, plain Python, nnsight's calls and `passes`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from icl_vectors.graph.generate import write_answers
from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.labels import (
    answer_injected,
    answer_suffixes,
    likeliest,
    rest_of,
    right_of,
)
from icl_vectors.graph.passes import apply_theta, joined, read_query, read_theta
from icl_vectors.graph.read import probe_blocks
from icl_vectors.prompts.batches import Batch, Part, layer_groups
from icl_vectors.remote.job import Job
from icl_vectors.remote.shapes import require_shapes

if TYPE_CHECKING:
    from icl_vectors.models.load import Model

GROUP = 3  # layers swept in one trace: fewer run fewer blocks, more run fewer traces
NO_INJECTION = -1


def run_task(
    model: "Model",
    dev: Sequence[Batch],
    test: Sequence[Batch],
    layers: Sequence[int],
    progress: Callable[[str, int], None] | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Extraction, regular answers, sweep on dev, choice of the layer, and test, in one session.

    Args:
        layers: candidate blocks; on dev, θ is injected at each of them.
        progress: is called with the phase and the number of prompts after each batch; not on a
            server.
        job: where a server runs the session: what was sent before, and whom to tell.

    Returns:
        dev_swept: tokens answered on dev with θ injected, (prompt, candidate).
        dev_own: tokens answered to "demonstrations dummy→", (prompt, dummy).
        test_own: tokens answered to "demonstrations query→", then the same, (prompt, 1 + dummy).
        test_answers: tokens answered to "query→" without and with θ, (prompt, 2).
            All four are indices of labels where the batches name labels.
        test_first: likeliest of all tokens: regular, baseline, hypothesis, (prompt, 3).
        test_log_probabilities: of the likeliest accepted token: regular, baseline, hypothesis,
            (prompt, 3).
        theta: mean over the test prompts, in the states' dtype, (layer, hidden).
        best: the layer with most right answers on dev, ties to the lowest.
        finite_states: for each layer, whether all its states were finite, (layer,).
        finite_logits: whether all largest logits were finite.
    """
    nnsight, at = model.nnsight, hook_points(model)
    candidates = sorted(layers)
    groups = list(layer_groups(candidates, GROUP))
    as_swept = (read_query, apply_theta)
    progress = progress if model.host is None else None

    with model.session(job):
        with torch.no_grad():
            at = probe_blocks(nnsight, at, (dev or test)[0])
            fine_states, fine_logits = [], []  # of every batch: are they finite?

            hits = torch.zeros(len(candidates), dtype=torch.long)
            dev_swept, dev_own = [], []
            for batch in dev:
                theta, logits = read_theta(nnsight, at, batch)
                rest = rest_of(answer_suffixes, nnsight, at, batch)
                own, largest = likeliest(logits, batch, rest)  # (prompt, dummy)
                fine_logits.append(largest.values.isfinite().all())
                before = read_query(nnsight, at, batch)
                swept = []
                for group in groups:
                    put = theta[:, group]  # (prompt, one of the group, hidden)
                    logits = apply_theta(nnsight, at, batch, before, put, group)
                    rest = rest_of(answer_injected, nnsight, at, batch, *as_swept, put, group)
                    answers, largest = likeliest(logits, batch, rest)  # (prompt, one of the group)
                    fine_logits.append(largest.values.isfinite().all())
                    swept.append(answers)
                answers = torch.cat(swept, 1)  # (prompt, candidate)
                right = (answers[:, :, None] == right_of(batch)[:, None]).any(-1)
                hits = hits + right.sum(0)
                dev_swept.append(answers)
                dev_own.append(own)
                fine_states.append(theta.isfinite().all(-1).all(0))  # (layer,)
                if progress is not None:
                    progress("dev", batch["prompts"])

            best = candidates[hits.tolist().index(int(hits.max()))]
            both = [NO_INJECTION, best]

            sums = []
            test_own, test_answers, test_first, test_scores = [], [], [], []
            for batch in test:
                theta, logits = read_theta(nnsight, at, batch)
                rest = rest_of(answer_suffixes, nnsight, at, batch)
                own, of_own = likeliest(logits, batch, rest)  # (prompt, 1 + dummy)
                regular = logits[:, :1].float()  # (prompt, 1, vocab)
                before = read_query(nnsight, at, batch)
                put = theta[:, both]  # (prompt, 2, hidden)
                logits = apply_theta(nnsight, at, batch, before, put, both)
                rest = rest_of(answer_injected, nnsight, at, batch, *as_swept, put, both)
                answers, largest = likeliest(logits, batch, rest)  # (prompt, 2)
                first = torch.cat([of_own.indices[:, :1], largest.indices], 1)
                test_first.append(first.cpu())  # (prompt, 3)
                accepted = batch["accepted"]  # (prompt, answer)
                scores = torch.cat([regular, logits.float()], 1).log_softmax(-1).cpu()
                scores = scores.gather(-1, accepted.clamp(min=0)[:, None].expand(-1, 3, -1))
                scores = scores.masked_fill((accepted < 0)[:, None], -torch.inf)
                test_scores.append(scores.max(-1).values)  # (prompt, 3)
                test_own.append(own)
                test_answers.append(answers)
                fine_logits += [of_own.values.isfinite().all(), largest.values.isfinite().all()]
                sums.append(theta.float().sum(0))  # (layer, hidden)
                fine_states.append(theta.isfinite().all(-1).all(0))  # (layer,)
                if progress is not None:
                    progress("test", batch["prompts"])

            thetas = [torch.stack(sums).sum(0) / sum(map(len, test_own))] if sums else []
            found: Any = {
                "dev_swept": joined(dev_swept),
                "dev_own": joined(dev_own),
                "test_own": joined(test_own),
                "test_answers": joined(test_answers),
                "test_first": joined(test_first),
                "test_log_probabilities": joined(test_scores),
                "theta": joined(thetas).to(theta).cpu(),
                "best": best,
                "finite_states": torch.stack(fine_states).all(0).cpu(),
                "finite_logits": torch.stack(fine_logits).all().cpu(),
            }
            found = found.save()
    require_shapes(found, _shapes_of_task(model, dev, test, len(candidates)), job)
    return dict(found)


def _shapes_of_task(
    model: "Model", dev: Sequence[Batch], test: Sequence[Batch], candidates: int
) -> dict[str, tuple[int, ...]]:
    """What `run_task` must give; an empty tensor where there were no prompts."""
    shapes: dict[str, tuple[int, ...]] = {"finite_states": (model.n_layers,)}
    for split, batches in (("dev", dev), ("test", test)):
        prompts = sum(batch["prompts"] for batch in batches)
        own = (prompts, batches[0]["per_prompt"]) if batches else (0,)
        shapes[f"{split}_own"] = own
    shapes["dev_swept"] = (shapes["dev_own"][0], candidates) if dev else (0,)
    shapes["test_answers"] = (shapes["test_own"][0], 2) if test else (0,)
    shapes["test_first"] = (shapes["test_own"][0], 3) if test else (0,)
    shapes["test_log_probabilities"] = (shapes["test_own"][0], 3) if test else (0,)
    shapes["theta"] = (model.n_layers, model.hidden) if test else (0,)
    return shapes


def run_application(
    model: "Model",
    prompts: list[Part],
    theta: dict[int, Tensor],
    steps: int,
    job: Job | None = None,
    *,
    mode: str = "replace",
    ends: tuple[int, ...] = (),
    top: int = 0,
    with_logits: bool = True,
) -> dict[str, Any]:
    """Answers of `steps` tokens to prompts that end at an arrow, with θ injected at its layers.

    Args:
        mode: how θ is injected, see `icl_vectors.graph.generate.inject`.
        ends: token ids that end an answer; when all have ended, no more tokens are written.
        top: how many of the likeliest first tokens come back.

    Returns:
        tokens, (prompt, step); finite: whether all logits after the arrows were; where asked,
        top: probabilities and ids, (prompt, top), and logits after the arrow, float32,
        (prompt, vocab).
    """
    nnsight, at = model.nnsight, hook_points(model, mode == "attention")
    with model.session(job):
        with torch.no_grad():
            tokens, logits = write_answers(nnsight, at, prompts, theta, steps, mode, ends)
            found: Any = {"tokens": tokens, "finite": logits.max(-1).values.isfinite().all().cpu()}
            if top:
                found["top"] = [part.cpu() for part in logits.float().softmax(-1).topk(top, -1)]
            if with_logits:
                found["logits"] = logits.float().cpu()
            found = found.save()
    rows, vocab = sum(len(part["rows"]) for part in prompts), model.vocab_size
    shapes: dict[str, tuple[int, ...]] = {"tokens": (rows, steps)}
    shapes |= {"logits": (rows, vocab)} if with_logits else {}
    require_shapes(found, shapes, job)
    if top:
        require_shapes({"top": found["top"][1]}, {"top": (rows, top)}, job)
    return dict(found)

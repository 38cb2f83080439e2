"""The separated forward pass as one trace-and-edit graph (paper, section 2 and figure 2).

    A(S), what is learned                        f(x; θ), the rule applied
    Apple→Red ↵ Lime→Green ↵ Plum→               Corn→
                                 │                   ▲
                       block ℓ ──┴────── θ(S) ───────┘ block ℓ  … Yellow

The body of the session holds nothing but tensors, plain Python and nnsight's calls, so that it
can be sent as one job to a server that has never heard of this package.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from icl_vectors.batches import Batch, layer_groups
from icl_vectors.models import Model

GROUP = 3  # layers swept in one trace: fewer run fewer blocks, more run fewer traces


def run_task(
    model: Model,
    dev: Sequence[Batch],
    test: Sequence[Batch],
    layers: Sequence[int],
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Any]:
    """Extraction, regular answers, sweep on dev, choice of the layer, and test: one session.

    Args:
        layers: candidate blocks; on dev, θ is injected at each of them.
        progress: is told the phase and the number of prompts after each batch.

    Returns:
        dev_swept: tokens answered on dev with θ injected, (prompt, candidate).
        dev_own, test_own: tokens answered to "demonstrations query→" and, after it, to
            "demonstrations dummy→", (prompt, 1 + dummy).
        test_answers: tokens answered to "query→" without and with θ, (prompt, 2).
        test_log_probabilities: of the likeliest accepted token: regular, baseline, hypothesis,
            (prompt, 3).
        theta: mean over the test prompts, float32, (layer, hidden).
        best: the layer with most right answers on dev, ties to the lowest.
        finite_states: for each layer, whether all its states were finite, (layer,).
        finite_logits: whether all largest logits were finite.
    """
    language_model, blocks, head = model.nnsight, model.blocks, model.head
    candidates = sorted(layers)
    groups = list(layer_groups(candidates, GROUP))
    never = len(blocks)
    work = [("dev", batch) for batch in dev] + [("test", batch) for batch in test]

    with language_model.session():
        with torch.no_grad():
            hits = [0] * len(candidates)
            best = candidates[0]
            dev_swept, dev_own, test_own, test_answers, test_scores = [], [], [], [], []
            theta_sum, finite_states, finite_logits = 0, True, True
            for split, batch in work:
                prompts, per_prompt = batch["prompts"], batch["per_prompt"]

                # A: demonstrations once, then the short ends query→ and dummy→ on their cache
                cache = None
                if batch["shared"] is not None:
                    with language_model.trace(batch["shared"], use_cache=True):
                        head.input = head.input[:, -1:]
                        cache = language_model.output.past_key_values
                    cache.batch_repeat_interleave(per_prompt)
                rows = torch.arange(prompts * per_prompt)
                arrows = batch["arrows"]
                with language_model.trace(
                    batch["suffixes"], past_key_values=cache, use_cache=True
                ):
                    states = []
                    for block in blocks:
                        output = block.output
                        in_tuple = isinstance(output, tuple)
                        state = output[0] if in_tuple else output  # (row, token, hidden)
                        states.append(state[rows, arrows].view(prompts, per_prompt, -1))
                    head.input = head.input[rows, arrows][:, None]  # (row, 1, hidden)
                    logits = language_model.output.logits[:, -1].view(prompts, per_prompt, -1)
                    largest = logits.max(-1)  # (prompt, 1 + dummy)
                    regular_logits = logits[:, 0].float()  # (prompt, vocab)

                # θ(S): the states at the dummies' arrows, averaged
                home = states[0].device
                theta = torch.stack(
                    [state[:, 1:].mean(1).to(home) for state in states], 1
                )  # (prompt, layer, hidden)
                finite_states = theta.isfinite().all(-1).all(0) & finite_states  # (layer,)
                finite_logits = largest.values.isfinite().all() & finite_logits

                # f: the query alone up to its arrow …
                before = None
                if batch["before"] is not None:
                    with language_model.trace(batch["before"], use_cache=True):
                        head.input = head.input[:, -1:]
                        before = language_model.output.past_key_values

                # … then its arrow, a row for each candidate layer, whose state there becomes θ
                if split == "test":
                    best = candidates[hits.index(max(hits))]
                swept = []
                for group in [[never, best]] if split == "test" else groups:
                    lowest = -1 if never in group else group[0]
                    each = len(group)
                    row_layer = torch.tensor(group * prompts, device=home)[:, None]  # (row, 1)
                    cache = copy.deepcopy(before)
                    if cache is not None:
                        cache.batch_repeat_interleave(each)
                    arrow = {
                        key: value.repeat_interleave(each, 0)
                        for key, value in batch["arrow"].items()
                    }
                    with language_model.trace(arrow, past_key_values=cache, use_cache=True):
                        for layer, block in enumerate(blocks):
                            injected = theta[:, layer].repeat_interleave(each, 0)  # (row, hidden)
                            if layer <= lowest:  # no row needs what this block would compute
                                injected = injected[:, None]
                                block.skip((injected,) if in_tuple else injected)
                            else:
                                state = block.output[0] if in_tuple else block.output
                                here = (row_layer == layer).to(state.device)
                                state[:, -1] = torch.where(
                                    here, injected.to(state.device), state[:, -1]
                                )
                        logits = language_model.output.logits[:, -1].view(prompts, each, -1)
                        largest_swept = logits.max(-1)  # (prompt, candidate)
                    finite_logits = largest_swept.values.isfinite().all() & finite_logits
                    swept.append(largest_swept.indices.cpu())

                # what stays: answers, a few log-probabilities, the sum of θ
                own = largest.indices.cpu()
                answered = torch.cat(swept, 1)
                accepted = batch["accepted"]  # (prompt, answer)
                if split == "dev":
                    dev_own.append(own)
                    dev_swept.append(answered)
                    right = (answered[:, :, None] == accepted[:, None]).any(-1)
                    hits = [hit + int(new) for hit, new in zip(hits, right.sum(0), strict=True)]
                else:
                    test_own.append(own)
                    test_answers.append(answered)
                    theta_sum = theta.float().sum(0) + theta_sum
                    scored = torch.cat([regular_logits[:, None], logits.float()], 1)
                    log_probabilities = scored.log_softmax(-1).cpu()  # (prompt, 3, vocab)
                    chosen = accepted.clamp(min=0)[:, None].expand(-1, 3, -1)
                    chosen = log_probabilities.gather(-1, chosen)
                    chosen = chosen.masked_fill((accepted < 0)[:, None], -torch.inf)
                    test_scores.append(chosen.max(-1).values)
                if progress is not None:
                    progress(split, prompts)
            found = {
                "dev_swept": torch.cat(dev_swept),
                "dev_own": torch.cat(dev_own),
                "test_own": torch.cat(test_own),
                "test_answers": torch.cat(test_answers),
                "test_log_probabilities": torch.cat(test_scores),
                "theta": (theta_sum / sum(len(scores) for scores in test_scores)).cpu(),
                "best": best,
                "finite_states": finite_states.cpu(),
                "finite_logits": finite_logits.cpu(),
            }.save()
    return found

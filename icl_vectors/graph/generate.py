"""Answers of several tokens, θ injected, as traces to be called inside one nnsight session.

Goes over whole to a server, as `icl_vectors.graph.passes` does.
"""

from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.passes import cache_of, in_order, like_state, moved_by, state_of


def write_answers(
    model: Any,
    at: dict[str, Any],
    parts: list[dict[str, Any]],
    theta: dict[int, Tensor],
    steps: int,
    mode: str = "replace",
    ends: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Greedy answers of several tokens, θ injected at the arrow while the prompt is read.

    On the cached path the later tokens attend to what the prompt's pass left in the cache; θ is
    not injected again, unless it goes everywhere. On the whole path prompt and answer are read anew
    for each token, with θ at the same arrow.

    Args:
        parts: whole prompts that end at the arrow.
        theta: for each decoder block, the vector injected into its output, (hidden,) for all
            prompts or (prompt, hidden).
        mode: see `inject`.
        ends: token ids that end an answer; when each answer has one, no more are written.

    Returns:
        The tokens written, (prompt, step), −1 after the last step that was needed, and the logits
        after the arrow, (prompt, vocab).
    """
    head = at["head"]
    answers, first_logits = [], []
    for part in parts:
        own = {layer: one if one.dim() == 1 else one[part["rows"]] for layer, one in theta.items()}
        inputs, written = part["inputs"], []
        past: dict[str, Any] = {}
        for step in range(steps):
            again = step == 0 or mode == "everywhere" or not part["cached"]
            arrow = -1 if part["cached"] else -1 - step
            with model.trace(inputs, use_cache=part["cached"], **past):
                inject(at, own if again else {}, mode, part, arrow)
                head.input = head.input[:, -1:]
                logits = model.output.logits[:, -1]
                if part["cached"]:
                    past = cache_of(model.output)  # in a sandbox another object after each trace
            if step == 0:
                first_logits.append(logits)
            written.append(logits.argmax(-1, keepdim=True))
            tokens = torch.cat([one.cpu() for one in written], 1)  # (row, step)
            if torch.isin(tokens, torch.tensor(ends, dtype=torch.long)).any(1).all():
                break
            inputs = with_token(inputs, written[-1], part["cached"])
        answers.append(torch.nn.functional.pad(tokens, (0, steps - len(written)), value=-1))
    return in_order(parts, answers), in_order(parts, first_logits)


def with_token(inputs: dict[str, Tensor], token: Tensor, cached: bool) -> dict[str, Tensor]:
    """The inputs of the trace after one that wrote a token: that alone, or all with it."""
    if not cached:
        ids = inputs["input_ids"]
        return {"input_ids": torch.cat([ids, token.to(ids.device)], 1)}
    mask = inputs["attention_mask"]
    mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    given = {"input_ids": token, "attention_mask": mask}
    if "position_ids" in inputs:
        given["position_ids"] = mask.sum(-1, keepdim=True) - 1
    return given


def inject(
    at: dict[str, Any], theta: dict[int, Tensor], mode: str, part: dict[str, Any], arrow: int
) -> None:
    """Put θ into some blocks, within a trace.

    Args:
        mode: "replace": the arrow's state becomes θ; "add": θ is added to it; "attention": the
            attention's output at the arrow becomes θ; "everywhere": θ is added to the states of
            all tokens, which keep their norms.
        arrow: its index.
    """
    for layer in sorted(theta):
        if mode == "attention":
            attention = at["projections"][layer].output  # (prompt, token, hidden)
            attention[:, arrow] = theta[layer].to(attention)
            continue
        state = state_of(at["blocks"][layer].output, part)  # (prompt, token, hidden)
        vector = like_state(theta[layer].to(state), state)
        if mode == "everywhere":
            state[:] = moved_by(state, vector)
        else:
            state[:, arrow] = state[:, arrow] + vector if mode == "add" else vector

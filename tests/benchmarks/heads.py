"""Indirect effects of all heads: as the package computes them, and with one patch a forward pass.

    python -m tests.benchmarks.heads [--model gemma-3-270m] [--prompts 25] [--patches 72]

Both on the same prompts in one process. One patch a forward: the whole prompts in one batch, a
forward hook that sets one head's output at the last token, logits of the last token alone.
"""

import argparse
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from icl_vectors.graph.hooks import projection_of
from icl_vectors.methods.function import FUNCTION, answer_probability
from icl_vectors.methods.prepare import Contexts, method_batches, shuffled
from icl_vectors.methods.session import run_ranking
from icl_vectors.models.load import Model, load_model
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import load_task


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--model", default="gemma-3-270m")
    arguments.add_argument("--task", default="antonyms")
    arguments.add_argument("--prompts", type=int, default=25)
    arguments.add_argument("--patches", type=int, default=0, help="Of the slow way; 0: all.")
    given = arguments.parse_args()
    model = load_model(given.model)
    compare(model, given.task, given.prompts, given.patches)


def compare(model: Model, task: str, prompts: int, patches: int) -> dict[str, float]:
    """Time both ways and print a table; returns seconds a head and the largest difference."""
    tokenizer, limit = model.tokenizer, positions_limit(model)
    dev = sample_prompts(load_task(task), dev=prompts, test=0)[0]
    sound = [encode_prompt(tokenizer, Template(), one, limit) for one in dev]
    wrong = [encode_prompt(tokenizer, Template(), shuffled(one), limit) for one in dev]
    whole = [replace(one, alone=one.shared + one.suffixes[0]) for one in wrong]
    contexts, corrupted = (
        method_batches(model, Template(), FUNCTION, part, Contexts(sound), prompts, 0)
        for part in (sound, whole)
    )
    run_ranking(model, contexts[:1], corrupted[:1], FUNCTION)  # warm
    start = perf_counter()
    ours = run_ranking(model, contexts, corrupted, FUNCTION)  # (prompt, layer, head)
    seconds = perf_counter() - start
    heads = model.n_heads
    every = [(layer, head) for layer in range(model.n_layers) for head in range(heads)]
    tried = every[:: max(1, len(every) // patches)][:patches] if patches else every
    start = perf_counter()
    slow = one_by_one(model, contexts, corrupted[0], tried)
    seconds_slow = (perf_counter() - start) * len(every) / len(tried)
    there = torch.stack([ours[:, layer, head] for layer, head in tried], 1)
    difference = float((there - slow).abs().max())
    print(f"{model.reference}, {task}, {len(dev)} prompts, {len(every)} heads, {model.dtype}")
    print(f"all patches of a block as rows   {seconds:8.1f} s")
    print(f"one patch a forward              {seconds_slow:8.1f} s ({len(tried)} patches run)")
    print(f"ratio {seconds_slow / seconds:.1f}; largest difference of an effect {difference:.1e}")
    return {"ratio": seconds_slow / seconds, "difference": difference}


@torch.no_grad()
def one_by_one(
    model: Model, contexts: Any, batch: dict[str, Any], tried: list[tuple[int, int]]
) -> Tensor:
    """The same effects in plain PyTorch, (prompt, patch)."""
    module: Any = model.nnsight._module
    blocks = [module.get_submodule(path) for path in model.architecture.blocks]
    projections = [block.get_submodule(projection_of(block)) for block in blocks]
    means = mean_heads(module, projections, contexts, batch)  # (prompt, layer, width)
    accepted = batch["accepted"]

    def likely() -> Tensor:
        logits = module(**batch["whole"][0]["inputs"], use_cache=False, logits_to_keep=1).logits[
            :, -1
        ]
        return answer_probability(logits, accepted)

    plain, found = likely(), []
    for layer, head in tried:
        size = means.shape[-1] // model.n_heads
        part = slice(head * size, (head + 1) * size)

        def patch(_: Any, given: Any, layer: int = layer, part: slice = part) -> None:
            given[0][:, -1, part] = means[:, layer, part].to(given[0])

        handle = projections[layer].register_forward_pre_hook(patch)
        found.append(likely() - plain)
        handle.remove()
    return torch.stack(found, 1)


def mean_heads(module: Any, projections: list[Any], contexts: Any, batch: dict[str, Any]) -> Tensor:
    """The heads' mean outputs for each prompt, from the dummies' arrows of the contexts."""
    rows = []
    for one in contexts:
        [part] = one["suffixes"]
        ids, mask = part["inputs"]["input_ids"], part["inputs"]["attention_mask"]
        shared = one["shared"]["input_ids"].repeat_interleave(one["per_prompt"], 0)
        seen: list[Tensor] = []

        def keep(_: Any, given: Any, seen: list[Tensor] = seen) -> None:
            seen.append(given[0].clone())

        handles = [projection.register_forward_pre_hook(keep) for projection in projections]
        inputs = {"input_ids": torch.cat([shared, ids], 1), "attention_mask": mask}
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        module(**inputs, use_cache=False, logits_to_keep=1)
        for handle in handles:
            handle.remove()
        at = part["arrows"] + shared.shape[1]
        states = torch.stack([layer[torch.arange(len(at)), at] for layer in seen], 1)
        rows.append(states.view(one["prompts"], one["per_prompt"], *states.shape[1:]).mean(1))
    return torch.einsum("psc,clw->plw", batch["mix"], torch.cat(rows))


if __name__ == "__main__":
    main()

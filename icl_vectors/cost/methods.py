"""What a comparison would cost, from its prompts alone: layer-tokens and jobs a method."""

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from icl_vectors.cost.prompt_sizes import sized, tokens_of_text
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.experiments.compare.summary import cost_of
from icl_vectors.methods.cost import cost_of_ranking
from icl_vectors.methods.function import FUNCTION, counts_of
from icl_vectors.methods.plain import REGULAR, ZERO_SHOT
from icl_vectors.methods.prepare import corrupted_at_once, prompts_at_once, split_dev, taught
from icl_vectors.prompts.batches import Batch, Way, make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.runs.ranking import RANKING_PROMPTS

Prompts = Sequence[EncodedPrompt]


def costs_of_methods(
    compare: CompareConfig,
    tasks: Sequence[tuple[Prompts, Prompts]],
    *,
    tokenizer: Any | None,
    layers: Sequence[int],
    n_layers: int,
    n_heads: int,
    batch_size: int,
    way: Way,
) -> list[dict[str, Any]]:
    """For regular, zero-shot and each method: layer-tokens over all tasks, and jobs on a server.

    The layer that dev will choose is not known: answers on test are computed at the lowest one, so
    that `layer_tokens` is what they take at most. Controls, other arrows and shots are not counted
    but for their jobs.

    Args:
        compare: its methods, template and whether it has controls count.
        tasks: dev and test prompts of each task.
        tokenizer: None where lengths are estimated.
    """
    settings = {"counts": counts_of(n_layers * n_heads)}
    found = []
    for method in (REGULAR, ZERO_SHOT, *compare.chosen):
        plain = method in (REGULAR, ZERO_SHOT)
        groups = method.candidates(layers, settings)
        size = prompts_at_once(batch_size, groups)
        total = {"layer_tokens": 0, "layer_tokens_choosing": 0, "ranking": 0}
        for dev, test in tasks:
            fitted_on, chosen_on = split_dev(method, dev)
            on_dev = [] if plain else _batches(tokenizer, chosen_on, size, way)
            contexts = _batches(tokenizer, fitted_on, size, way) if method.fit else on_dev
            if "taught" in method.inputs:
                parts = ([one.prompt for one in part] for part in (fitted_on, chosen_on, test))
                encoded = sized(tokenizer, compare.template, taught(*parts))
                contexts[0]["taught"] = make_batches(encoded, size, way, with_query=False)
            given = contexts, on_dev, _batches(tokenizer, test, size, way)
            costs = [cost_of(method, groups, one, *given, n_layers) for one in groups[0]]
            cost = max(costs, key=itemgetter("layer_tokens"))
            total = {key: value + cost.get(key, 0) for key, value in total.items()}
            if method.heads:
                total["ranking"] += _ranking(dev, batch_size, n_heads, n_layers, way)
        jobs = len(tasks) * (1 + int(bool(compare.controls) and not plain) + int(method.heads))
        found.append({"method": method.name, **total, "jobs": jobs})
    return found


def _batches(tokenizer: Any | None, prompts: Prompts, size: int, way: Way) -> list[Batch]:
    """Batches with what the costs of methods ask for."""
    batches = make_batches(prompts, size, way, with_query=False)
    for number, batch in enumerate(batches):
        part = prompts[number * size : (number + 1) * size]
        texts = [text for one in part for pair in one.prompt.demonstrations for text in pair]
        pairs = [(0,) * tokens_of_text(tokenizer, text) for text in texts]
        batch["whole"] = whole_prompts([one.shared + one.suffixes[0] for one in part], way)
        batch["query"] = whole_prompts([one.alone for one in part], way)
        batch["pairs"] = whole_prompts(pairs, way)
    return batches


def _ranking(dev: Prompts, size: int, n_heads: int, n_layers: int, way: Way) -> int:
    contexts = make_batches(dev, size, way, with_query=False)
    reading = sum(FUNCTION.cost(batch, [(0,)], n_layers)[0] for batch in contexts)
    corrupted = [replace(one, alone=one.shared + one.suffixes[0]) for one in dev[:RANKING_PROMPTS]]
    batches = make_batches(corrupted, corrupted_at_once(size, n_heads), way, with_query=False)
    return reading + sum(cost_of_ranking(batch, n_heads, n_layers) for batch in batches)

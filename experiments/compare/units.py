"""The units of a comparison: ranking the heads, one method on one task, a method's controls."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from safetensors.torch import save
from torch import Tensor

from icl_vectors.engine.experiment import Outcome
from icl_vectors.experiments.compare.prompts import variant
from icl_vectors.experiments.compare.summary import answers_of, cost_of, entry_of, samples_of
from icl_vectors.experiments.few_labels import dummy_answers, prompt_measures
from icl_vectors.methods.cost import cost_of_ranking
from icl_vectors.methods.function import FUNCTION
from icl_vectors.methods.method import Candidate, Method
from icl_vectors.methods.plain import REGULAR, ZERO_SHOT
from icl_vectors.methods.prepare import corrupted_at_once, prompts_at_once, split_dev
from icl_vectors.methods.session import Batches, run_method, run_ranking
from icl_vectors.runs.files import write_whole
from icl_vectors.runs.ranking import RANKING_PROMPTS
from icl_vectors.runs.validation import read_tensor
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context
    from icl_vectors.experiments.compare import Compare

Groups: TypeAlias = Sequence[Sequence[Candidate]]


def heads(task: Task, comparison: "Compare", context: "Context") -> Outcome:
    """The indirect effect of every head on one task."""
    own, model = comparison.prompts[task.name], comparison.model
    n_heads, blocks = model.n_heads, model.n_layers

    def run(size: int) -> tuple[Tensor, int]:
        contexts = own.batches(FUNCTION, own.dev, size)
        fewer = corrupted_at_once(size, n_heads)
        corrupted = own.corrupted(FUNCTION, fewer, RANKING_PROMPTS)
        progress, job = context.progress(heads=RANKING_PROMPTS), context.job(f"batches of {size}")
        effects = run_ranking(model, contexts, corrupted, FUNCTION, progress, job)
        cost = sum(FUNCTION.cost(batch, [(0,)], blocks)[0] for batch in contexts)
        return effects, cost + sum(cost_of_ranking(one, n_heads, blocks) for one in corrupted)

    effects, cost = context.run(run, own.dev, own.size)
    context.require_finite(effects.isfinite().all(), "the logits")
    means = [[round(value, 6) for value in row] for row in effects.mean(0).tolist()]
    return Outcome({"task": task.name, "effects": means, "n": len(effects), "layer_tokens": cost})


def method(task: Task, method: Method, comparison: "Compare", context: "Context") -> Outcome:
    """One method on one task: its choice on dev, its answers on test."""
    own, model, config = comparison.prompts[task.name], comparison.model, comparison.config
    plain = method in (REGULAR, ZERO_SHOT)
    is_regular = method is REGULAR
    further = config.further_shots if is_regular else []
    groups = method.candidates(comparison.layers, comparison.settings)
    _, chosen_on = split_dev(method, own.dev)

    def run(size: int) -> dict[str, Any]:
        dev = [] if plain else own.batches(method, chosen_on, size)
        contexts = own.contexts(method, own.dev, size) if method.fit else dev
        test = own.batches(method, own.test, size)
        found = run_method(
            model,
            method,
            comparison.settings,
            Batches(contexts if method.pooled else [], dev, test),
            groups,
            [
                variant(),
                *(own.at_shots(method, shots, size) for shots in further),
                *(own.of_dummies(method, size) if is_regular else []),
            ],
            _progress(context, method, groups, chosen_on, own.test),
            context.job(f"batches of {size}"),
        )
        chosen = [one for group in groups for one in group][found["chosen"]]
        cost = cost_of(method, groups, chosen, contexts, dev, test, model.n_layers)
        return {**found, "cost": cost}

    found = context.run(run, own.test, prompts_at_once(own.size, groups))
    _require_finite(context, found)
    result: dict[str, Any] = {
        "task": task.name,
        "method": method.name,
        **entry_of(method, groups, found, chosen_on, own.test),
        **found["cost"],
        "seconds": context.seconds,
        "jobs": len(context.jobs.cost().get("jobs", [])),
    }
    if method.heads:
        ranked = comparison.folder.done.get((f"{task.name}:heads", config.seed), {})
        result["ranking"] = int(ranked.get("layer_tokens", 0))
    if "taught" in method.inputs:
        result["n_taught"] = len(own.taught(method, own.dev))
    if further:
        curve = zip(further, found["measured"][2:], strict=False)  # dummies follow
        result["shots"] = [{"shots": n, **answers_of(one, own.test)} for n, one in curve]
    if is_regular:
        dummies = [one[0].tolist() for one in found["measured"][2 + len(further) :]]
        accepted = dummy_answers(model.tokenizer, config.template, task, own.test, own.labels)
        answers = list(zip(*dummies, strict=True))  # (prompt, dummy)
        result["labels"] = prompt_measures(own.dev, own.test, answers, accepted)
    path = comparison.vectors_path(task.name, method.name)
    if not plain:
        write_whole(path, save({"vectors": found["vectors"].contiguous()}))
    layer, measured = result["choice"].get("layer"), found["measured"][1]
    unit, decoder = context.unit[0], own.decoder
    samples = [*samples_of(decoder, unit, method.name, own.test, measured, layer)]
    asked = [one.prompt for one in [*own.dev, *own.test]] if is_regular else []
    return Outcome(result, asked, samples, [] if plain else [path])


def controls(task: Task, method: Method, comparison: "Compare", context: "Context") -> Outcome:
    """The same with vectors that should not carry the task, and under other conditions."""
    own, model, config = comparison.prompts[task.name], comparison.model, comparison.config
    before = comparison.folder.done[f"{task.name}:{method.name}", config.seed]
    given = _given(comparison, task, method)
    groups: list[list[Candidate]] = [[tuple(before["candidate"])]]

    def run(size: int) -> dict[str, Any]:
        variants = own.variants(method, given, size)
        test = own.batches(method, own.test, size)
        found = run_method(
            model,
            method,
            comparison.settings,
            Batches(own.contexts(method, own.dev, size), [], test),
            groups,
            list(variants.values()),
            _progress(context, method, groups, own.dev, own.test),
            context.job(f"batches of {size}"),
        )
        return {**found, "names": list(variants)}

    found = context.run(run, own.test, own.size)
    _require_finite(context, found)
    results: dict[str, Any] = {}
    samples: list[dict[str, Any]] = []
    for name, measured in zip(found["names"], found["measured"][1:], strict=True):
        scored = own.scored(name)
        results[name] = answers_of(measured, scored)
        if name in config.controls:
            layer, label = before["choice"].get("layer"), f"{method.name}:{name}"
            unit, decoder = context.unit[0], own.decoder
            samples += samples_of(decoder, unit, label, scored, measured, layer)
    result = {"task": task.name, "method": method.name, "variants": results}
    return Outcome(result, samples=samples)


def _given(comparison: "Compare", task: Task, method: Method) -> dict[str, Tensor]:
    """Mean vectors of another task, and over all tasks; nothing for a single task."""
    tasks, other = comparison.config.tasks, comparison.config.other(task)
    if other is None:
        return {}
    paths = {one.name: comparison.vectors_path(one.name, method.name) for one in tasks}
    means = {name: read_tensor(path, "vectors") for name, path in paths.items()}
    mean = torch.stack([*means.values()]).mean(0)
    return {"other-task": means[other.name], "task-mean": mean}


def _progress(
    context: "Context", method: Method, groups: Groups, dev: Sequence[Any], test: Sequence[Any]
) -> Callable[[str, int], None]:
    fitted = {"fit": sum(map(len, groups))} if method.fit else {}
    return context.progress(**fitted, dev=len(dev), test=len(test))


def _require_finite(context: "Context", found: Mapping[str, Any]) -> None:
    scores = torch.stack([one[1] for one in found["measured"]])  # log-probabilities
    context.require_finite(bool(found["finite"]) and scores.isfinite().all(), "the logits")

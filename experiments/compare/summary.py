"""From what a method's session measured to entries of results.json, and their summary."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from torch import Tensor

from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.experiments.few_labels import FEWEST_DIFFERENT, OF_TASK, method_measures
from icl_vectors.experiments.measures import are_right, sample
from icl_vectors.methods.method import Candidate, Method
from icl_vectors.methods.state_vector import FORMS
from icl_vectors.prompts.batches import Batch
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.labels import first_token_right
from icl_vectors.runs.folder import Unit
from icl_vectors.scoring import SIGNIFICANT, accuracy, exact_mcnemar, mean

MEANS = ("log_probability", "rank", "total_variation", "divergence")
EXTRACTED = ("state-mean", "state")  # what methods that fit something are compared with
Lines = dict[str, dict[str, Mapping[str, Any]]]  # samples by method and prompt


def answers_of(measured: Sequence[Tensor], prompts: Sequence[EncodedPrompt]) -> dict[str, Any]:
    """Accuracy with its interval, and the other measures over the prompts.

    log_probability, total_variation and divergence are means; rank is the median. Where labels are
    compared, first_token is the accuracy of the likeliest token.
    """
    answers, scores, ranks, variations, divergences, tokens = (c.tolist() for c in measured)
    plain = first_token_right(tokens, prompts)
    return {
        "n": len(prompts),
        **accuracy(are_right(answers, prompts)).to_json(),
        **({"first_token": accuracy(plain).to_json()} if prompts[0].first else {}),
        "log_probability": round(mean(scores), 4),
        "rank": median(ranks),
        "total_variation": round(mean(variations), 4),
        "divergence": round(mean(divergences), 4),
    }


def entry_of(
    method: Method,
    groups: Sequence[Sequence[Candidate]],
    found: Mapping[str, Any],
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
) -> dict[str, Any]:
    """A method's figures on one task, with its choice and how dev saw every candidate."""
    candidates = [candidate for group in groups for candidate in group]
    chosen = candidates[found["chosen"]]
    columns = found["dev"].T.tolist() if len(found["dev"]) else []
    seen = [accuracy(are_right(column, dev)).accuracy for column in columns]
    return {
        **answers_of(found["measured"][1], test),
        "regular": answers_of(found["measured"][0], test),
        "candidate": list(chosen),
        "choice": {
            name: FORMS[int(value)] if name == "form" else value
            for name, value in zip(method.names, chosen, strict=False)
        },
        "dev_accuracy": [
            [*candidate, round(value, 4)]
            for candidate, value in zip(candidates if seen else [], seen, strict=True)
        ],
    }


def cost_of(
    method: Method,
    groups: Sequence[Sequence[Candidate]],
    chosen: Candidate,
    contexts: Sequence[Batch],
    dev: Sequence[Batch],
    test: Sequence[Batch],
    blocks: int,
) -> dict[str, int]:
    """Layer-tokens of the vectors of the test prompts and of their answers, and of the choice.

    The contexts of a pooled method are read once and count to its vectors; what is fitted on them
    counts so for the chosen candidate, and to the choice for the others. The regular answers,
    which every method is compared with, count to none.
    """
    on_test = [method.cost(batch, [chosen], blocks) for batch in test]
    on_dev = [[method.cost(batch, group, blocks) for group in groups] for batch in dev]
    reading_dev = sum(costs[0][0] for costs in on_dev)
    of_own = not method.pooled or method.fit is not None
    reading = sum(cost[0] for cost in on_test) if of_own else reading_dev
    fitted = of_all = 0
    if method.fit_cost is not None:
        every = [candidate for group in groups for candidate in group]
        fitted = sum(method.fit_cost(batch, [chosen], blocks) for batch in contexts)
        of_all = sum(method.fit_cost(batch, every, blocks) for batch in contexts)
    choosing = sum(costs[0][1] + sum(cost[2] for cost in costs) for costs in on_dev)
    return {
        "layer_tokens": fitted + reading + sum(cost[1] + cost[2] for cost in on_test),
        "layer_tokens_choosing": of_all - fitted + choosing + (reading_dev if of_own else 0),
    }


def samples_of(
    decoder: Any,
    unit: str,
    method: str,
    prompts: Sequence[EncodedPrompt],
    measured: Sequence[Tensor],
    layer: int | None,
) -> Iterator[dict[str, Any]]:
    """One line a test prompt."""
    for one, answer, *values in zip(prompts, *(c.tolist() for c in measured), strict=True):
        score, rank, variation, divergence, first = values
        yield {
            "id": one.prompt.id,
            "unit": unit,
            **sample(decoder, one, method, layer, answer),
            **({"first_token": first in one.first} if one.first else {}),
            "answer_log_probability": round(score, 4),
            "answer_rank": rank,
            "total_variation": round(variation, 4),
            "divergence": round(divergence, 4),
        }


def summarise(
    config: CompareConfig,
    done: Mapping[Unit, Mapping[str, Any]],
    lines: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The parts of results.json: every task and method, and every method over the tasks."""
    entries, arrows, curve = [], [], []
    by_method: Lines = {}
    for line in lines:
        if "unit" in line and line["seed"] == config.seed:
            by_method.setdefault(line["method"], {})[line["id"]] = line
    for task in config.tasks:
        of_task = {"task": task.name, "category": task.category}
        for name in ("regular", "zero-shot", *(method.name for method in config.chosen)):
            result = done.get((f"{task.name}:{name}", config.seed))
            if result is None:
                continue
            inner = ("shots", "candidate", "labels")
            shown = {key: value for key, value in result.items() if key not in inner}
            entries.append({**of_task, "method": name, **shown})
            curve += [{**of_task, "method": name, **one} for one in result.get("shots", [])]
            controls = done.get((f"{task.name}:{name}:controls", config.seed), {"variants": {}})
            for variant, answers in controls["variants"].items():
                kind, _, value = variant.partition(" ")
                if kind == "arrow":
                    arrows.append({**of_task, "method": name, "arrow": value, **answers})
                elif kind == "shots":
                    curve.append({**of_task, "method": name, "shots": int(value), **answers})
                else:
                    about = {"method": f"{name}:{variant}", "of": name, "control": variant}
                    cost = {"layer_tokens": result["layer_tokens"]}
                    entries.append({**of_task, **about, **answers, **cost})
        labels = done.get((f"{task.name}:regular", config.seed), {}).get("labels")
        for entry in entries:
            if labels and entry["task"] == task.name:
                entry |= _of_labels(labels, entry, by_method)
    found: dict[str, Any] = {"compare": entries}
    counted = [entry for entry in entries if not entry.get("begin_alike")]
    fitted = [method.name for method in config.chosen if method.fit is not None]
    found["compare_summary"] = list(_summary(counted, by_method, fitted))
    if config.templates:
        found["compare_arrows"] = arrows
    if config.curve:
        found["compare_shots"] = [*curve, *_known_shots(config, entries)]
    return found


def _of_labels(labels: Mapping[str, Any], entry: Mapping[str, Any], lines: Lines) -> dict[str, Any]:
    """What a constant answer earns on the task, and how a method does beside it and apart."""
    own, baseline = (
        [line for line in lines.get(name, {}).values() if line["task"] == entry["task"]]
        for name in (entry["method"], "zero-shot")
    )
    found: dict[str, Any] = {key: labels[key] for key in OF_TASK}
    if len(own) == len(baseline) == len(labels["of_constant"]):
        right, plainly = ([bool(line["correct"]) for line in part] for part in (own, baseline))
        found |= method_measures(labels, right, plainly, [line["prediction"] for line in own])
    if entry["method"] in ("regular", "zero-shot") or "of" in entry:
        found.pop("fails", None)
    return found


def _summary(
    entries: Sequence[Mapping[str, Any]], lines: Lines, fitted: Sequence[str]
) -> Iterator[dict[str, Any]]:
    right = {
        name: {id: bool(line["correct"]) for id, line in own.items()} for name, own in lines.items()
    }
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_method.setdefault(entry["method"], []).append(entry)
    for name, own in by_method.items():
        if ":" in name:
            continue
        controls = [other for other in by_method if other.startswith(f"{name}:")]
        against, beside = (
            {
                other: _paired(right.get(name, {}), right.get(other, {}), by_method[other])
                for other in others
                if other in by_method and other != name
            }
            for others in (("regular", "zero-shot", *controls), EXTRACTED if name in fitted else ())
        )
        beats = _beats([against[other] for other in against if other != "regular"])
        yield {
            "method": name,
            "n_tasks": len(own),
            "n": sum(entry["n"] for entry in own),
            "accuracy": mean(entry["accuracy"] for entry in own),
            **{key: round(mean(entry[key] for entry in own), 4) for key in MEANS},
            **{
                key: sum(entry.get(key, 0) for entry in own)
                for key in ("layer_tokens", "layer_tokens_choosing", "ranking", "jobs")
            },
            "seconds": round(sum(entry["seconds"] for entry in own), 2),
            "against": against,
            **({"beside": beside} if beside else {}),
            "beats_controls": beats if controls else None,
        }


def _beats(held: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether a method beats all its controls; None where too few prompts differ to tell.

    With fewer than six prompts on which the two differ, McNemar's exact p can't fall below .05.
    """
    not_beaten = [o for o in held if o["won"] <= o["lost"] or o["p"] >= SIGNIFICANT]
    if not_beaten and all(o["won"] + o["lost"] < FEWEST_DIFFERENT for o in not_beaten):
        return None
    return not not_beaten


def _paired(
    own: Mapping[str, bool], other: Mapping[str, bool], entries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A method beside another on the same prompts: McNemar's exact test on where they differ."""
    shared = own.keys() & other.keys()
    won = sum(own[one] and not other[one] for one in shared)
    lost = sum(other[one] and not own[one] for one in shared)
    return {
        "accuracy": mean(entry["accuracy"] for entry in entries),
        "n": len(shared),
        "won": won,
        "lost": lost,
        "p": round(exact_mcnemar(lost, won), 6),
    }


def _known_shots(
    config: CompareConfig, entries: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The points of the curve that the comparison itself gives: its own shots, and none."""
    keys = ("task", "category", "n", "accuracy", "low", "high", *MEANS)
    for entry in entries:
        point = {key: entry[key] for key in keys}
        if entry["method"] == "zero-shot":
            if 0 in config.curve:
                yield {**point, "method": "regular", "shots": 0}
        elif ":" not in entry["method"] and config.shots in config.curve:
            yield {**point, "method": entry["method"], "shots": config.shots}

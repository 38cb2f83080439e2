"""Conflicting tasks: demonstrations of A in the prompt, θ of B put in; which one is followed?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from icl_vectors.batches import make_batches
from icl_vectors.checking import require_checked
from icl_vectors.encoding import EncodedPrompt, encode_prompt
from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.experiments.checks import PAPER_PAIRS, check_counts, parse_pairs
from icl_vectors.experiments.jobs import Jobs
from icl_vectors.experiments.layers_from_sweep import swept_entries
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.plan_of_run import open_folder
from icl_vectors.given import takes_numbers
from icl_vectors.graph_of_experiments import run_conflict
from icl_vectors.limits import positions_limit
from icl_vectors.memory import choose_batch_size, peak_bytes, with_smaller_batches
from icl_vectors.models import Model, as_model
from icl_vectors.notebook import default_observer
from icl_vectors.prompts import Prompt, require_pairs, sample_prompts
from icl_vectors.scoring import accuracy
from icl_vectors.tasks import Task
from icl_vectors.templates import load_template
from icl_vectors.turns import takes_turns


@takes_turns
@takes_numbers
def conflict(
    model: Any,
    pairs: str = PAPER_PAIRS,
    *,
    output: str | Path,
    test: int = 50,
    dev: int = 50,
    shots: int = 4,
    dummies: int = 2,
    seed: int = 41,
    template: str = "{input}→{output}",
    batch_size: int | None = None,
    observer: Observer | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Which task wins where prompt and θ disagree (paper, section 4.2, table 3)?

    Queries are inputs that both tasks accept and answer differently. θ of B is put in at the
    layer that is best for B on dev, taken from the folder's sweep, which is run where missing.

    Args:
        pairs: "A:B,…", demonstrations of A and θ of B.
        shots: 4, as in the paper's experiment.

    Returns:
        For each pair the accuracy on A's and on B's answers, without and with the injection.

    Raises:
        IclVectorsError: a pair of one task, or tasks without inputs in common.
    """
    model, observer = as_model(model), observer or default_observer()
    check_counts(shots=shots, dummies=dummies, dev=dev, test=test, batch_size=batch_size)
    chosen = parse_pairs(pairs)
    # the query is taken out before the demonstrations are drawn: one pair more is needed
    require_pairs([task for pair in chosen for task in pair], shots, dummies, queries=2)
    queries = {(a.name, b.name): shared_inputs(a, b) for a, b in chosen}
    of_b = list({b.name: b for _, b in chosen}.values())
    entries = swept_entries(
        model,
        of_b,
        Path(output),
        seed=seed,
        template=template,
        test=test,
        dev=dev,
        observer=observer,
        provenance=provenance,
    )
    form = load_template(template)
    configuration = {
        "pairs": {f"{a.name}:{b.name}": [a.fingerprint, b.fingerprint] for a, b in chosen},
        "layers": {b.name: entries[b.name]["best_layer"] for b in of_b},
        "seed": seed,
        "shots": shots,
        "dummies": dummies,
        "test": test,
    }
    folder = open_folder(output, "conflict", model, form, configuration, provenance)
    with folder:
        observer.started(len(chosen), len(folder.done))
        for a, b in chosen:
            unit = (f"{a.name}:{b.name}", seed)
            if unit in folder.done:
                continue
            jobs = Jobs(model, folder, unit, observer)
            start = perf_counter()
            prompts = _prompts(a, b, queries[a.name, b.name], seed, test, shots, dummies)
            limit = positions_limit(model)
            encoded = [
                (
                    encode_prompt(model.tokenizer, form, prompt_a, limit),
                    encode_prompt(model.tokenizer, form, prompt_b, limit),
                )
                for prompt_a, prompt_b in prompts
            ]
            require_checked(model, form, [two for _, two in encoded])
            layer = entries[b.name]["best_layer"]
            result, answers = _run_pair(model, a, b, encoded, layer, batch_size, observer, jobs)
            samples = _samples(model, unit, encoded, layer, answers)
            shown = [replace(one, task=unit[0]) for one, _ in prompts]
            seconds = round(perf_counter() - start, 3)
            folder.finish(
                unit, result, prompts=shown, samples=samples, seconds=seconds, **jobs.spent()
            )
            observer.told(_line(result))
        results = [folder.done[(f"{a.name}:{b.name}", seed)] for a, b in chosen]
        folder.write_results({"conflict": results}, peak_memory=peak_bytes(model))
    return results


def shared_inputs(a: Task, b: Task) -> list[str]:
    """Inputs that both tasks accept and answer differently.

    Raises:
        IclVectorsError: there are none.
    """
    common = sorted(set(a.inputs) & set(b.inputs))
    differing = [
        query
        for query in common
        if not {out.casefold() for out in a.answers[query]}
        & {out.casefold() for out in b.answers[query]}
    ]
    if not differing:
        raise IclVectorsError(
            f"--pairs {a.name}:{b.name}: expected inputs that both tasks accept and answer "
            f"differently, found {len(common)} in common and none such."
        )
    return differing


def _prompts(
    a: Task, b: Task, queries: Sequence[str], seed: int, test: int, shots: int, dummies: int
) -> list[tuple[Prompt, Prompt]]:
    """Prompts of A and of B with the same query, each with demonstrations of its own."""
    common = Task.from_pairs(f"{a.name}:{b.name}", {query: "x" for query in queries})
    asked = sample_prompts(common, seed=seed, dev=0, test=test, shots=0, dummies=0)[1]
    drawn = []
    for number, one in enumerate(asked):
        pair = []
        for task in (a, b):
            others = Task(task.name, tuple(p for p in task.pairs if p[0] != one.query))
            own = sample_prompts(
                others, seed=seed + 7919 * number, dev=0, test=1, shots=shots, dummies=dummies
            )[1][0]
            pair.append(
                replace(
                    own,
                    id=one.id,
                    seed=seed,
                    query=one.query,
                    answers=task.answers[one.query],
                )
            )
        drawn.append((pair[0], pair[1]))
    return drawn


def _run_pair(
    model: Model,
    a: Task,
    b: Task,
    encoded: Sequence[tuple[EncodedPrompt, EncodedPrompt]],
    layer: int,
    batch_size: int | None,
    observer: Observer,
    jobs: Jobs,
) -> tuple[dict[str, Any], list[list[int]]]:
    whole = [replace(one, alone=one.shared + one.suffixes[0]) for one, _ in encoded]
    of_b = [two for _, two in encoded]

    def run(size: int) -> dict[str, Any]:
        batches_b = make_batches(of_b, size, model.way, with_query=False)
        batches_a = make_batches(whole, size, model.way)
        return run_conflict(model, batches_b, batches_a, layer, job=jobs.job(f"batch {size}"))

    size = batch_size or choose_batch_size(model, [*whole, *of_b])
    found, _ = with_smaller_batches(run, size, observer.notice)
    if not bool(found["finite"]):
        raise not_finite(f"{a.name}:{b.name}: states or logits", model.dtype, model.device)
    answers = found["answers"].tolist()
    result: dict[str, Any] = {"a": a.name, "b": b.name, "layer": layer, "n": len(encoded)}
    for column, name in enumerate(("regular", "injected")):
        tokens = [answer[column] for answer in answers]
        result[name] = {
            which: accuracy(
                [token in pair[side].accepted for token, pair in zip(tokens, encoded, strict=True)]
            ).to_json()
            for side, which in enumerate(("a", "b"))
        }
    return result, answers


def _samples(
    model: Model,
    unit: tuple[str, int],
    encoded: Sequence[tuple[EncodedPrompt, EncodedPrompt]],
    layer: int,
    answers: Sequence[Sequence[int]],
) -> list[dict[str, Any]]:
    lines = []
    for (one, two), tokens in zip(encoded, answers, strict=True):
        for method, at_layer, token in zip(
            ("regular", "injected"), (None, layer), tokens, strict=True
        ):
            lines.append(
                {
                    "id": one.prompt.id,
                    "task": unit[0],
                    "seed": unit[1],
                    "split": "test",
                    "method": method,
                    "layer": at_layer,
                    "prediction": model.tokenizer.decode([token]),
                    "correct": token in one.accepted,
                    "correct_b": token in two.accepted,
                }
            )
    return lines


def _line(result: Mapping[str, Any]) -> str:
    cells = "  ".join(
        f"{name} A {result[name]['a']['accuracy']:.2f} B {result[name]['b']['accuracy']:.2f}"
        for name in ("regular", "injected")
    )
    return f"{result['a']} → {result['b']}: {cells}  (layer {result['layer']}, n {result['n']})"

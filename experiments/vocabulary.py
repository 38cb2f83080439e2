"""What θ says: its top tokens through the final norm and the unembedding."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from icl_vectors.batches import whole_prompts
from icl_vectors.checking import require_checked
from icl_vectors.encoding import encode_to_arrow
from icl_vectors.errors import not_finite
from icl_vectors.experiments.checks import check_counts, gather_tasks
from icl_vectors.experiments.jobs import Jobs
from icl_vectors.experiments.layers_from_sweep import swept_entries
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.plan_of_run import open_folder
from icl_vectors.files import read_lines
from icl_vectors.given import takes_numbers
from icl_vectors.graph_of_experiments import run_projection
from icl_vectors.layers import parse_layer
from icl_vectors.memory import peak_bytes
from icl_vectors.models import Model, as_model
from icl_vectors.notebook import default_observer
from icl_vectors.scoring import stable
from icl_vectors.tasks import Task
from icl_vectors.templates import load_template
from icl_vectors.turns import takes_turns
from icl_vectors.vectors import TaskVector

ABOVE_BEST = 2  # blocks; where the authors' code projects θ
FETCHED = 400  # tokens that come back, from which words are filtered


@takes_turns
@takes_numbers
def vocabulary(
    model: Any,
    tasks: str | Iterable[str | Task] = "all",
    *,
    output: str | Path,
    layer: int | None = None,
    top: int = 20,
    raw: bool = False,
    test: int = 50,
    dev: int = 50,
    seed: int = 41,
    template: str = "{input}→{output}",
    observer: Observer | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Which words θ stands for (paper, section 4.3, table 4).

    θ, the mean over the sweep's test prompts, goes through the model's own final norm and
    unembedding; so does the mean state of the same queries alone (the baseline), so that what θ
    adds is seen.

    Args:
        layer: a decoder block; by default the best layer of each task + 2, and the best one.
        top: tokens shown.
        raw: all tokens, not only those of letters.

    Returns:
        One entry a task and layer: `tokens`, `baseline`, `added` (by difference of probability),
        and `in_outputs`, the share of `tokens` that the model answered on test at all.

    Raises:
        IclVectorsError: a layer out of range, or a folder whose sweep lacks a task.
    """
    model, observer = as_model(model), observer or default_observer()
    check_counts(top=top, test=test, dev=dev)
    chosen, form, path = gather_tasks(tasks), load_template(template), Path(output)
    given = None if layer is None else parse_layer(layer, model.n_layers)
    options: dict[str, Any] = {"observer": observer, "provenance": provenance}
    options |= {"seed": seed, "template": template, "test": test, "dev": dev}
    entries = swept_entries(model, chosen, path, **options)
    configuration = {
        "tasks": {task.name: task.fingerprint for task in chosen},
        "layer": given,
        "top": top,
        "raw": raw,
        "seed": seed,
    }
    folder = open_folder(output, "vocabulary", model, form, configuration, provenance)
    answered, queries = _from_sweep(path, seed)
    with folder:
        observer.started(len(chosen), len(folder.done))
        for task in chosen:
            unit = (task.name, seed)
            if unit in folder.done:
                continue
            layers = [given] if given is not None else _default_layers(model, entries[task.name])
            require_checked(model, form)
            start = perf_counter()
            jobs = Jobs(model, folder, unit, observer)
            theta = TaskVector.load(folder.vector_path(*unit))
            theta.require_model(model)
            texts = [form.query(query) for query in queries[task.name]]
            ids = [encode_to_arrow(model.tokenizer, form, text, None) for text in texts]
            prompts = whole_prompts(ids, model.way)
            vectors = theta.only(layers).vectors  # (layer, hidden)
            fetched = min(max(FETCHED, top), model.config.vocab_size)
            found = run_projection(model, vectors, prompts, layers, fetched, jobs.job("whole"))
            if not bool(found["finite"]):
                raise not_finite(f"{task.name}: the logits", model.dtype, model.device)
            shown = [
                _entry(model, task.name, found, row, at, top, raw, answered[task.name])
                for row, at in enumerate(layers)
            ]
            seconds = round(perf_counter() - start, 3)
            folder.finish(unit, {"entries": shown}, seconds=seconds, **jobs.spent())
            words = ", ".join(token["token"].strip() for token in shown[0]["tokens"][:8])
            observer.told(f"{task.name}: layer {layers[0]}: {words}")
        results = [one for task in chosen for one in folder.done[(task.name, seed)]["entries"]]
        folder.write_results({"vocabulary": results}, peak_memory=peak_bytes(model))
    return results


def _default_layers(model: Model, entry: Mapping[str, Any]) -> list[int]:
    above = min(entry["best_layer"] + ABOVE_BEST, model.n_layers - 1)
    return list(dict.fromkeys([above, entry["best_layer"]]))


def _from_sweep(folder: Path, seed: int) -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """What the model answered on test, with and without θ, and the test queries, by task."""
    answered: dict[str, set[str]] = {}
    for sample in read_lines(folder / "samples.jsonl"):
        if sample["split"] == "test" and sample["seed"] == seed:
            known = answered.setdefault(sample["task"], set())
            if sample["method"] in ("hypothesis", "regular"):
                known.add(sample["prediction"].strip().casefold())
    queries: dict[str, list[str]] = {}
    for prompt in read_lines(folder / "prompts.jsonl"):
        if prompt["split"] == "test" and prompt["seed"] == seed:
            queries.setdefault(prompt["task"], []).append(prompt["query"])
    return answered, queries


def _entry(
    model: Model,
    task: str,
    found: Mapping[str, Any],
    row: int,
    layer: int,
    top: int,
    raw: bool,
    answered: set[str],
) -> dict[str, Any]:
    kinds = {
        name: _words(model, found[name][0][row], found[name][1][row], top, raw)
        for name in ("theta", "baseline", "added")
    }
    said = [token for token, _ in kinds["theta"]]
    seen = Counter(token.strip().casefold() in answered for token in said)
    return {
        "task": task,
        "layer": layer,
        "tokens": [{"token": token, "probability": value} for token, value in kinds["theta"]],
        "baseline": [{"token": token, "probability": value} for token, value in kinds["baseline"]],
        "added": [{"token": token, "difference": value} for token, value in kinds["added"]],
        "in_outputs": seen[True] / len(said) if said else None,
    }


def _words(
    model: Model, values: torch.Tensor, tokens: torch.Tensor, top: int, raw: bool
) -> list[tuple[str, float]]:
    """The likeliest tokens as text; without `raw` only those that consist of letters."""
    listed = []
    for token, value in zip(tokens.tolist(), values.tolist(), strict=True):
        text = model.tokenizer.decode([token])
        if raw or text.strip().isalpha():
            listed.append((text, stable(value)))
        if len(listed) == top:
            break
    return listed

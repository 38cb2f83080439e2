"""The map of vectors: many θ a task, where they lie, and which tasks are near each other."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from icl_vectors.batches import make_batches
from icl_vectors.checking import require_checked
from icl_vectors.encoding import encode_prompt
from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.experiments.checks import check_counts, gather_tasks
from icl_vectors.experiments.geometry import describe_clusters, embed, silhouette
from icl_vectors.experiments.jobs import Jobs
from icl_vectors.experiments.layers_from_sweep import best_layer_of_mean, swept_entries
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.plan_of_run import open_folder
from icl_vectors.files import write_whole
from icl_vectors.given import takes_numbers
from icl_vectors.graph_of_experiments import run_many_thetas
from icl_vectors.layers import parse_layer
from icl_vectors.limits import positions_limit
from icl_vectors.memory import choose_batch_size, peak_bytes, with_smaller_batches
from icl_vectors.models import Model, as_model
from icl_vectors.notebook import default_observer
from icl_vectors.prompts import require_pairs, sample_prompts
from icl_vectors.run_folder import RunFolder
from icl_vectors.run_shapes import damaged
from icl_vectors.tasks import Task
from icl_vectors.templates import Template, load_template
from icl_vectors.turns import takes_turns


@takes_turns
@takes_numbers
def cluster(
    model: Any,
    tasks: str | Iterable[str | Task] = "all",
    *,
    output: str | Path,
    layer: str | int = "best",
    per_task: int = 50,
    by_layer: bool = False,
    shots: int = 4,
    dummies: int = 2,
    test: int = 50,
    dev: int = 50,
    seed: int = 41,
    template: str = "{input}→{output}",
    batch_size: int | None = None,
    observer: Observer | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Do the θ of one task lie together, and apart from those of others (paper, section 4.1)?

    Args:
        layer: a decoder block, or "best": the one with the highest mean accuracy on dev in the
            folder's sweep, which is run where there is none.
        per_task: θ a task, each from demonstrations of its own.
        by_layer: also the silhouette at every layer (all blocks are run then).
        shots: 4, as in the paper's experiment.
        test: test prompts of the sweep, where one has to be run.
        dev: dev prompts of that sweep.

    Returns:
        The silhouette score, mean cosine distances within and between tasks, the nearest task of
        each task; the points of t-SNE and PCA stand in `cluster.csv`.

    Raises:
        IclVectorsError: fewer than two tasks, too few pairs, or a layer out of range.
    """
    model, observer = as_model(model), observer or default_observer()
    check_counts(shots=shots, dummies=dummies, per_task=per_task, batch_size=batch_size)
    chosen, form = gather_tasks(tasks), load_template(template)
    require_pairs(chosen, shots, dummies)
    if len(chosen) < 2:
        raise IclVectorsError("cluster: expected two tasks or more, found one.")
    if layer == "best":
        options: dict[str, Any] = {"observer": observer, "provenance": provenance}
        options |= {"seed": seed, "template": template, "test": test, "dev": dev}
        at_layer = best_layer_of_mean(swept_entries(model, chosen, Path(output), **options))
    else:
        at_layer = parse_layer(_whole_number(layer), model.n_layers)
    configuration = {
        "tasks": {task.name: task.fingerprint for task in chosen},
        "layer": at_layer,
        "per_task": per_task,
        "by_layer": by_layer,
        "shots": shots,
        "dummies": dummies,
        "seed": seed,
    }
    folder = open_folder(output, "cluster", model, form, configuration, provenance)
    kept = None if by_layer else at_layer
    with folder:
        observer.started(len(chosen), len(folder.done))
        (folder.path / "thetas").mkdir(exist_ok=True)
        for task in chosen:
            if (task.name, seed) not in folder.done:
                settings = (seed, per_task, shots, dummies, batch_size)
                _run_task(model, form, task, kept, settings, folder, observer)
        thetas = torch.stack(
            [_read(_path(folder, task, seed), per_task, model) for task in chosen]
        )  # (task, prompt, layer, hidden)
        observer.notice("Silhouette, distances, t-SNE and PCA …")
        found = _describe(thetas, chosen, at_layer, by_layer, seed, folder.path)
        about = {"model": model.reference, "dtype": model.dtype, "n_layers": model.n_layers}
        folder.write_results({**about, "cluster": found}, peak_memory=peak_bytes(model))
    return found


def _run_task(
    model: Model,
    form: Template,
    task: Task,
    layer: int | None,
    settings: tuple[int, int, int, int, int | None],
    folder: RunFolder,
    observer: Observer,
) -> None:
    """Many θ of one task, in one session."""
    seed, per_task, shots, dummies, batch_size = settings
    prompts = sample_prompts(task, seed=seed, dev=0, test=per_task, shots=shots, dummies=dummies)[1]
    limit = positions_limit(model)
    encoded = [encode_prompt(model.tokenizer, form, prompt, limit) for prompt in prompts]
    require_checked(model, form, encoded)
    seen = 0

    def progress(phase: str, done: int) -> None:
        nonlocal seen
        seen += done
        observer.phase(task.name, seed, phase, min(seen, per_task), per_task)

    def run(size: int) -> torch.Tensor:
        batches = make_batches(encoded, size, model.way, with_query=False)
        return run_many_thetas(model, batches, layer, progress, jobs.job(f"batch {size}"))

    jobs = Jobs(model, folder, (task.name, seed), observer)
    observer.phase(task.name, seed, "θ", 0, per_task)
    start = perf_counter()
    size = batch_size or choose_batch_size(model, encoded)
    thetas, _ = with_smaller_batches(run, size, observer.notice)  # (prompt, layer, hidden)
    if not thetas.isfinite().all():
        raise not_finite(f"{task.name}: states", model.dtype, model.device)
    path = _path(folder, task, seed)
    write_whole(path, save({"thetas": thetas.contiguous()}))
    seconds = round(perf_counter() - start, 3)
    result = {"task": task.name}
    folder.finish((task.name, seed), result, files=[path], seconds=seconds, **jobs.spent())
    observer.told(f"{task.name}: {per_task} θ in {seconds:.1f} s")


def _path(folder: RunFolder, task: Task, seed: int) -> Path:
    return folder.path / "thetas" / f"{task.name}.seed{seed}.safetensors"


def _read(path: Path, per_task: int, model: Model) -> Float[torch.Tensor, "prompt layer hidden"]:
    """θ of one task, as `_run_task` wrote them.

    Raises:
        RunError: the file is damaged, or holds something else.
    """
    try:
        thetas: torch.Tensor = load_file(path)["thetas"]
    except (SafetensorError, OSError, KeyError) as error:
        raise damaged(path, "thetas as safetensors") from error
    if thetas.ndim != 3 or (len(thetas), thetas.shape[-1]) != (per_task, model.hidden):
        raise damaged(path, f"{per_task} θ of width {model.hidden}")
    return thetas


def _describe(
    thetas: Float[torch.Tensor, "task prompt layer hidden"],
    tasks: Sequence[Task],
    layer: int,
    by_layer: bool,
    seed: int,
    folder: Path,
) -> dict[str, Any]:
    per_task = thetas.shape[1]
    labels = np.repeat(np.arange(len(tasks)), per_task)  # (point,)
    at = thetas[:, :, layer if by_layer else 0].numpy()  # (task, prompt, hidden)
    points = at.reshape(-1, at.shape[-1])  # (point, hidden)
    found = {
        "layer": layer,
        "per_task": per_task,
        "tasks": [task.name for task in tasks],
        **describe_clusters(points, labels, [task.name for task in tasks]),
    }
    if by_layer:
        found["silhouette_by_layer"] = {
            str(each): silhouette(thetas[:, :, each].flatten(0, 1).numpy(), labels)
            for each in range(thetas.shape[2])
        }
    _write_points(folder / "cluster.csv", embed(points, seed), labels, tasks)
    return found


def _write_points(path: Path, points: dict[str, Any], labels: Any, tasks: Sequence[Task]) -> None:
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["task", "category", "index", "tsne_x", "tsne_y", "pca_x", "pca_y"])
    per_task = len(labels) // len(tasks)
    for number, label in enumerate(labels):
        task = tasks[int(label)]
        place = [f"{value:.4f}" for kind in ("tsne", "pca") for value in points[kind][number]]
        rows.writerow([task.name, task.category, number % per_task, *place])
    write_whole(path, table.getvalue().encode())


def _whole_number(layer: str | int) -> int:
    try:
        return int(layer)
    except ValueError as error:
        raise IclVectorsError(f"--layer {layer!r}: expected best, or a whole number.") from error

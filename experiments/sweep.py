"""The paper's experiment: baseline, hypothesis and regular for each task, the layer from dev."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from icl_vectors.batches import make_batches
from icl_vectors.checking import require_checked
from icl_vectors.errors import IclVectorsError, not_finite
from icl_vectors.experiments.encoded import Encoded, encode_unit, units_that_fail
from icl_vectors.experiments.few_labels import best_apart, dummy_answers, label_measures
from icl_vectors.experiments.jobs import Jobs
from icl_vectors.experiments.kept import Vectors
from icl_vectors.experiments.measures import METHODS, samples_of, unit_result
from icl_vectors.experiments.observer import Observer
from icl_vectors.experiments.parts import run_in_parts
from icl_vectors.experiments.plan_of_run import SweepPlan
from icl_vectors.experiments.summary import summary
from icl_vectors.experiments.written import with_written, write_answers_of, written_samples
from icl_vectors.given import takes_numbers
from icl_vectors.graph import run_task
from icl_vectors.memory import choose_batch_size, forget_peak, peak_bytes, with_smaller_batches
from icl_vectors.models import Model, as_model
from icl_vectors.notebook import default_observer
from icl_vectors.prompts import Prompt
from icl_vectors.run_folder import RunFolder, Unit
from icl_vectors.tasks import Task
from icl_vectors.turns import takes_turns
from icl_vectors.vectors import TaskVector

if TYPE_CHECKING:
    import pandas

PAUSE = 5.0  # seconds between two writings of results.json; what is done stands in the records


@dataclass(frozen=True)
class SweepResults:
    """What a sweep found.

    Attributes:
        data: the content of results.json.
        folder: the run's folder, or None.
        failures: (task, seed) of units that could not be run, with the reason.
        vectors: mean θ over the test prompts of each unit that ran in this process; where there is
            a folder, read from it when asked for.
    """

    data: dict[str, Any]
    folder: Path | None = None
    failures: Mapping[Unit, str] = field(default_factory=dict)
    vectors: Mapping[Unit, TaskVector] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        """The test figures as a table, for a notebook."""
        frame = self.to_pandas()
        shown = frame[frame["split"] == "test"] if len(frame) else frame
        wide = shown.pivot_table(index=["task", "seed"], columns="method", values="accuracy")
        return str(wide.to_html(float_format="{:.2f}".format))

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a task × seed × method, and one a layer swept on dev."""
        import pandas

        frame = pandas.DataFrame([row for entry in self.data["tasks"] for row in _rows(entry)])
        return frame.astype({"layer": "Int64"}) if len(frame) else frame  # baseline has none


@takes_turns
@takes_numbers
def sweep(
    model: Any,
    tasks: str | Iterable[str | Task] = "all",
    *,
    output: str | Path | None = None,
    shots: int = 5,
    dummies: int = 2,
    dev: int = 50,
    test: int = 50,
    layers: str | Iterable[int] = "all",
    seeds: Iterable[int] = (41,),
    template: str = "{input}→{output}",
    batch_size: int | None = None,
    answer: str = "first-token",
    choose_layer: str = "accuracy",
    observer: Observer | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> SweepResults:
    """Measure how much of in-context learning one task vector carries (paper, section 3).

    For each task and seed: the layer is chosen on dev prompts (highest accuracy with θ injected,
    ties to the lowest) and baseline, hypothesis and regular are reported on test prompts.

    Args:
        tasks: names, categories, `all`, or tasks of one's own.
        output: the run's folder; the same call again resumes it. Without it nothing is written.
        layers: candidate blocks: "all", "A:B[:STEP]", "I,J,…" or [I, J, …].
        batch_size: prompts at once; chosen from free memory where None.
        answer: "first-token" compares the first token; "generate" also writes the answers to the
            test prompts out, up to the template's end, and compares them whole.
        choose_layer: the layer is chosen by "accuracy" on dev, or by "apart": accuracy on the dev
            prompts whose answer no dummy gives.

    Raises:
        IclVectorsError: an option can't be right, or `output` holds another configuration.
        RunError: states or logits are not finite, memory does not suffice, or the model fails the
            checks of `icl_vectors.check`, which are made first.
    """
    model, observer = as_model(model), observer or default_observer()
    plan = SweepPlan.make(
        model.n_layers,
        tasks,
        shots,
        dummies,
        dev,
        test,
        layers,
        seeds,
        template,
        batch_size,
        answer,
        choose_layer,
    )
    forget_peak(model)
    failures = units_that_fail(model, plan)
    opened = nullcontext(None) if output is None else plan.open_folder(output, model, provenance)
    with opened as folder:
        done = dict(folder.done) if folder else {}
        vectors: dict[Unit, TaskVector | Path] = {}
        observer.started(len(plan.units), len(done))
        for unit, error in failures.items():
            _tell_failure(unit, error, folder, observer)
        written = -PAUSE
        try:
            for unit in (unit for unit in plan.units if unit not in done and unit not in failures):
                try:
                    prompts = encode_unit(model, plan, unit)
                except IclVectorsError as refusal:
                    failures[unit] = str(refusal)
                    _tell_failure(unit, failures[unit], folder, observer)
                    continue
                done[unit], vector = _run_unit(model, plan, unit, prompts, folder, observer)
                vectors[unit] = folder.vector_path(*unit) if folder else vector
                observer.finished(done[unit])
                if monotonic() - written >= PAUSE:
                    _write(folder, model, plan, done)
                    written = monotonic()
        finally:
            data = _write(folder, model, plan, done)
    return SweepResults(data, Path(output) if output else None, failures, Vectors(vectors))


def _tell_failure(unit: Unit, error: str, folder: RunFolder | None, observer: Observer) -> None:
    observer.failed(*unit, error)
    if folder:
        folder.failed(unit, error)


def _run_unit(
    model: Model,
    plan: SweepPlan,
    unit: Unit,
    encoded: Encoded,
    folder: RunFolder | None,
    observer: Observer,
) -> tuple[dict[str, Any], TaskVector]:
    """Run one task with one seed, and keep what it gave."""
    dev, test = encoded
    require_checked(model, plan.template, test)
    batch_size = plan.batch_size or choose_batch_size(model, [*dev, *test])
    of_dummies = dummy_answers(model.tokenizer, plan.template, plan.task(unit), [*dev, *test])
    by_apart = plan.choose_layer == "apart"
    choose = partial(best_apart, dev, plan.layers, of_dummies) if by_apart else None
    total, seen = len(dev) + len(test), 0

    def progress(phase: str, prompts: int) -> None:
        nonlocal seen
        seen += prompts
        observer.phase(*unit, phase, min(seen, total), total)

    def run(size: int) -> dict[str, Any]:
        nonlocal seen
        seen = 0
        on_dev = make_batches(dev, size, model.way, with_query=False)
        on_test = make_batches(test, size, model.way)

        def session(with_dev: bool, with_test: bool, layers: Sequence[int]) -> dict[str, Any]:
            part = _name_of_part(with_dev, with_test, layers, size)
            given = (on_dev if with_dev else [], on_test if with_test else [], layers)
            return run_task(model, *given, progress, jobs.job(part))

        return run_in_parts(session, dev, plan.layers, observer.notice, choose)

    observer.phase(*unit, "dev", 0, total)
    jobs = Jobs(model, folder, unit, observer)
    start = perf_counter()
    found, batch_size = with_smaller_batches(run, batch_size, observer.notice)
    _require_finite(model, unit, found)
    result = unit_result(plan.task(unit), unit[1], dev, test, plan.layers, model.n_layers, found)
    samples, written = list(samples_of(model.tokenizer, dev, test, plan.layers, found)), None
    if plan.writes_answers:
        written = write_answers_of(
            model, plan.template, test, result["best_layer"], batch_size, observer, jobs
        )
        result = with_written(result, test, written)
        samples = written_samples(samples, test, written)
    copies, sizes = result["copies_dummies"], (plan.layers, model.n_layers)
    result |= label_measures(dev, test, *sizes, found, of_dummies, copies, written)
    vector = _vector(model, plan, unit, found)
    if folder:
        path = folder.vector_path(*unit)
        vector.save(path)
        prompts: list[Prompt] = [one.prompt for one in [*dev, *test]]
        folder.finish(
            unit,
            result,
            prompts=prompts,
            samples=samples,
            files=[path],
            seconds=round(perf_counter() - start, 3),
            batch_size=batch_size,
            **jobs.spent(),
        )
    return result, vector


def _name_of_part(with_dev: bool, with_test: bool, layers: Sequence[int], size: int) -> str:
    """A name that the same command gives the same job again, whichever process runs it."""
    splits = "whole" if with_dev and with_test else "dev" if with_dev else "test"
    at = f" at layers {layers[0]} to {layers[-1]}" if splits == "dev" else ""
    return f"{splits}{at}, batches of {size}"


def _require_finite(model: Model, unit: Unit, found: Mapping[str, Any]) -> None:
    broken = [layer for layer, fine in enumerate(found["finite_states"].tolist()) if not fine]
    if broken or not bool(found["finite_logits"]):
        where = f"the states of block {broken[0]}" if broken else "the logits"
        raise not_finite(f"{unit[0]}: {where}", model.dtype, model.device)


def _vector(model: Model, plan: SweepPlan, unit: Unit, found: Mapping[str, Any]) -> TaskVector:
    return TaskVector(
        vectors=found["theta"].float(),
        layers=tuple(range(model.n_layers)),
        model=model.reference,
        from_folder=model.is_from_folder,
        revision=model.revision,
        fingerprint=model.fingerprint,
        dtype=model.dtype,
        template=plan.template.text,
        task=unit[0],
        best_layer=int(found["best"]),
        seed=unit[1],
        model_type=model.config.model_type,
    )


def _write(
    folder: RunFolder | None,
    model: Model,
    plan: SweepPlan,
    done: Mapping[Unit, Mapping[str, Any]],
) -> dict[str, Any]:
    entries = [dict(done[unit]) for unit in plan.units if unit in done]
    part = {
        "model": model.reference,
        "dtype": model.dtype,
        "n_layers": model.n_layers,
        "tasks": entries,
        "summary": summary(entries),
    }
    if folder is None:
        return {"schema": 1, **part}
    return folder.write_results(part, peak_memory=peak_bytes(model))


def _rows(entry: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    about = {key: entry[key] for key in ("task", "category", "seed")}
    for method in METHODS:
        layer = entry["best_layer"] if method == "hypothesis" else None
        count = {"layer": layer, "n": entry["n_test"]}
        yield {**about, "split": "test", "method": method, **count, **entry[method]}
    for layer, value in enumerate(entry["dev_accuracy_by_layer"]):
        if value is not None:
            count = {"layer": layer, "n": entry["n_dev"]}
            yield {**about, "split": "dev", "method": "hypothesis", **count, "accuracy": value}

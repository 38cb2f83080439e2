"""Where a run's figures come from: run.json as rows of a table, and the run in a few sentences."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from icl_vectors.report.statistics import (
    FEWEST_TASKS,
    mean_curve,
    recovered,
    task_means,
    with_reasons,
)
from icl_vectors.report.table import Table, words
from icl_vectors.runs.reading import short_name
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS, untold

FEWEST_PROMPTS = 20  # of all tasks together; fewer give no percentage
UNCARRIED = {  # by whether too few prompts are all that speaks against θ
    False: "θ does not carry",
    True: "Too few prompts tell (raise --test), which counts as no success, on",
}
COMPARED = {  # by --answer, where it is not the first token
    "generate": " Whole answers are compared, exactly; the curves by layer, and the paper's "
    "figures, compare first tokens.",
    "labels": " The likeliest of each task's labels is compared, also in the curves by layer; the "
    "paper's figures compare first tokens.",
}
SPELLED = {"peak_memory_bytes": ("peak memory (GB)", 1e9), "seconds": ("time (s)", 1.0)}


def provenance_table(run: Run) -> Table:
    """Everything in run.json, one line each."""
    rows = list(_flatten("", run.about)) or [("run.json", "missing or damaged")]
    return Table.of("provenance", "Where the figures come from", words("what", "value"), rows)


def summary_line(run: Run) -> str:
    """The means over tasks in one sentence."""
    if run.comparison is not None and run.is_apart and (summary := run.comparison.summary):
        shown = ", ".join(f"{one.method} {one.accuracy:.2f}" for one in summary)
        return f"{run.label}, kinds of task vectors on {summary[0].n_tasks} task(s): {shown}."
    alike = {one.task: "; ".join(one.fails) for one in run.tasks if one.begin_alike}
    left_out = "".join(f" Left out: {task} ({reason})." for task, reason in alike.items())
    tasks = task_means(run.counted)
    if not tasks:
        return f"{run.label}: no finished task of a sweep.{left_out}"
    means = {m: fmean(task.by_method[m].value for task in tasks) for m in METHODS}
    listed = ", ".join(f"{method} {mean:.2f}" for method, mean in means.items())
    line = f"{run.label}, {len(tasks)} task(s): {listed}."
    enough = len(tasks) >= FEWEST_TASKS and sum(task.n_test for task in tasks) >= FEWEST_PROMPTS
    if enough and means["regular"] > means["baseline"] and (share := recovered(tasks)):
        zero = ", tasks without success counted as 0" if any(task.fails for task in tasks) else ""
        line += f" θ alone recovers {share.value:.0%} of in-context learning{zero}."
    if of_sweep(run, "configuration", "theta_source"):
        line += " θ is read after each task's instruction, not after demonstrations."
    if of_sweep(run, "configuration", "chat"):
        line += " The prompts are in a user's turn of a chat."
    line += COMPARED.get(str(of_sweep(run, "configuration", "answer")), "")
    curve = mean_curve(tasks, run.n_layers)
    if curve is not None:
        line += f" Best by the mean curve: block {curve.best_layer} (of 0 to {run.n_layers - 1})."
    for unsure, head in UNCARRIED.items():
        if flagged := [task for task in tasks if task.fails and untold(task.fails) is unsure]:
            why = ", ".join(task.task for task in flagged) if unsure else with_reasons(flagged)
            line += f" {head} {why}."
    return line + left_out


def of_sweep(run: Run, *keys: str) -> Any:
    """What run.json says of the sweep; None where it says nothing."""
    found: Any = run.about
    for key in ("experiments", "sweep", *keys):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _flatten(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(f"{path} · {key}" if path else str(key), inner)
        return
    last = path.rsplit(" · ", 1)[-1]
    if last in SPELLED and isinstance(value, int | float):
        name, unit = SPELLED[last]
        yield path.removesuffix(last) + name, f"{value / unit:.2f}"
    elif last == "reference" and isinstance(value, str):
        yield path, short_name(value)
    elif isinstance(value, list):
        are_layers = len(value) > 2 and all(type(one) is int for one in value)
        yield path, _ranges(value) if are_layers else ", ".join(map(str, value))
    elif value not in (None, ""):
        yield path, str(value)


def _ranges(values: Sequence[int]) -> str:
    """0, 1, 2, 3, 7 as "0–3, 7"."""
    runs = groupby(enumerate(values), key=lambda one: one[1] - one[0])
    parts = [[value for _, value in part] for _, part in runs]
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)

"""Where a run's figures come from: run.json as rows of a table, and the run in a few sentences."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from icl_vectors.report.statistics import FEWEST_TASKS, mean_curve, successes, task_means
from icl_vectors.report.table import Cell, Column, Table
from icl_vectors.runs.reading import short_name
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS, MethodSummary, untold

FEWEST_PROMPTS = 20  # of all tasks together; fewer give no percentage
SPELLED = {"peak_memory_bytes": ("peak memory (GB)", 1e9), "seconds": ("time (s)", 1.0)}


def provenance_table(run: Run) -> Table:
    """Everything in run.json, one line each."""
    rows = [(Cell(key), Cell(value)) for key, value in _flatten("", run.about)]
    return Table(
        "provenance",
        "Where the figures come from",
        (Column("what"), Column("value")),
        tuple(rows) or ((Cell("run.json"), Cell("missing or damaged")),),
    )


def summary_line(run: Run) -> str:
    """The means over tasks in one sentence."""
    if run.comparison is not None and run.is_apart and run.comparison.summary:
        return _comparison_line(run.label, run.comparison.summary)
    tasks = task_means(run.counted)
    if not tasks:
        return f"{run.label}: no finished task of a sweep.{_left_out(run)}"
    means = {m: fmean(task.measure(m).mean for task in tasks) for m in METHODS}
    line = (
        f"{run.label}, {len(tasks)} task(s): baseline {means['baseline']:.2f}, hypothesis "
        f"{means['hypothesis']:.2f}, regular {means['regular']:.2f}."
    )
    enough = len(tasks) >= FEWEST_TASKS and sum(task.n_test for task in tasks) >= FEWEST_PROMPTS
    if enough and means["regular"] > means["baseline"]:
        recovered = fmean(successes(tasks)) / means["regular"]
        zero = ", tasks without success counted as 0" if any(task.fails for task in tasks) else ""
        line += f" θ alone recovers {recovered:.0%} of in-context learning{zero}."
    if _asked(run, "theta_source"):
        line += " θ is read after each task's instruction, not after demonstrations."
    if _asked(run, "chat"):
        line += " The prompts stand in a user's turn of a chat."
    if writes_answers(run):
        line += (
            " Whole answers are compared, exactly; the curves by layer, and the paper's figures, "
            "compare first tokens."
        )
    curve = mean_curve(tasks, run.n_layers)
    if curve is not None:
        line += f" Best by the mean curve: block {curve.best_layer} (of 0 to {run.n_layers - 1})."
    for head, unknown in (("θ does not carry", False), ("Counted as no success:", True)):
        flagged = [task for task in tasks if task.fails and untold(task.fails) is unknown]
        if flagged:
            named = (f"{task.task} ({'; '.join(task.fails)})" for task in flagged)
            line += f" {head} {', '.join(named)}."
    return line + _left_out(run)


def _left_out(run: Run) -> str:
    """Which tasks means and claims leave out, and why."""
    alike = {one.task: "; ".join(one.fails) for one in run.tasks if one.begin_alike}
    return "".join(f" Left out: {task} ({reason})." for task, reason in alike.items())


def writes_answers(run: Run) -> bool:
    """Whether the sweep compared whole answers (`--answer generate`)."""
    return bool(_asked(run, "answer") == "generate")


def _asked(run: Run, option: str) -> Any:
    """What the sweep was asked for."""
    about: Any = run.about
    for key in ("experiments", "sweep", "configuration", option):
        about = about.get(key) if isinstance(about, Mapping) else None
    return about


def _comparison_line(label: str, summary: Sequence[MethodSummary]) -> str:
    means = ", ".join(f"{one.method} {one.accuracy:.2f}" for one in summary)
    return f"{label}, kinds of task vectors on {summary[0].n_tasks} task(s): {means}."


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
    elif value not in (None, ""):
        yield path, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return _ranges(value) if _are_layers(value) else ", ".join(map(str, value))
    return str(value)


def _are_layers(values: Sequence[Any]) -> bool:
    return len(values) > 2 and all(type(value) is int for value in values)


def _ranges(values: Sequence[int]) -> str:
    """0, 1, 2, 3, 7 as "0–3, 7"."""
    parts: list[list[int]] = []
    for value in values:
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(f"{p[0]}–{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)

"""Results as plain text: one line a task, a final table, a spark line of accuracy by layer."""

from collections.abc import Mapping
from typing import Any

from icl_vectors.plain_text import in_one_line, spark_line
from icl_vectors.report.sweep.answers import answers_table, first_tokens_table
from icl_vectors.report.table import interval
from icl_vectors.runs.schema import COPIES, FEW_LABELS, METHODS, faults_of, untold

FEW_TASKS = 3  # below that the report gives no verdict either


def text(data: Mapping[str, Any]) -> str:
    """The sweep's table, and that of whole answers where they were generated."""
    whole = answers_table(data) or first_tokens_table(data)
    return sweep_table(data) + (f"\n\n{whole}" if whole else "")


def sweep_table(data: Mapping[str, Any]) -> str:
    """The table of a sweep: accuracy on test with its 95 % interval, and the layer chosen.

    Where a task has few labels, a column says what the best constant answer earns.
    """
    few = any(map(_has_few_labels, data["tasks"]))
    seeds = len({entry["seed"] for entry in data["tasks"]}) > 1
    names = [
        in_one_line(entry["task"]) + (f" seed {entry['seed']}" if seeds else "")
        for entry in data["tasks"]
    ]
    width = max(27, *(len(name) + 1 for name in names), 0)
    header = f"{'task':<{width}}" + "".join(f"{method:<19}" for method in METHODS)
    header += "constant  " if few else ""
    lines = [header + f"layer  {'n':>3}  accuracy by layer (dev)"]
    for name, entry in zip(names, data["tasks"], strict=True):
        cells = "".join(f"{interval(entry[method]):<19}" for method in METHODS)
        cells += f"{_constant(entry):<10}" if few else ""
        distinct = "" if entry["n_distinct"] == entry["n_test"] else "*"
        lines.append(
            f"{name:<{width}}{cells}{entry['best_layer']:>5}  {entry['n_test']:>3}"
            f"{distinct:1} {spark_line(entry['dev_accuracy_by_layer'])}"
            + (f"  ! {'; '.join(faults)}" if (faults := faults_of(entry)) else "")
        )
    lines += _remarks(data, width)
    return "\n".join(lines)


def _has_few_labels(entry: Mapping[str, Any]) -> bool:
    return bool(0 < entry.get("n_labels", 0) <= FEW_LABELS)


def _constant(entry: Mapping[str, Any]) -> str:
    return f"{entry['constant']['accuracy']:.2f}" if _has_few_labels(entry) else ""


def _over_seeds(method: str, found: Mapping[str, float]) -> str:
    span = f"[{found['low']:.2f}, {found['high']:.2f}]"
    return f"{method} {found['mean']:.2f} ± {found['sd']:.2f} {span}"


def _remarks(data: Mapping[str, Any], width: int) -> list[str]:
    summary, lines = data["summary"], []
    if summary["regular"] is not None:
        means = "".join(f"{summary[method]:<19.2f}" for method in METHODS)
        lines.append(f"{'mean':<{width}}{means}")
    if summary["regular"] is not None and summary["regular"] <= summary["baseline"]:
        lines.append(
            f"Regular is not above the baseline: {data['model']} does not learn these tasks in "
            "context, so that there is nothing for θ to recover."
        )
    elif summary["recovered"] is not None:
        few = len({entry["task"] for entry in data["tasks"]}) < FEW_TASKS
        lines.append(
            f"θ alone recovers {summary['recovered']:.0%} of regular in-context learning "
            f"({data['model']}, {data['dtype']}, {data['n_layers']} blocks)"
            + ("; too few tasks to say more." if few else ".")
        )
    if seeds := summary.get("seeds"):
        cells = [_over_seeds(method, seeds[method]) for method in METHODS]
        lines.append(f"over {seeds['n']} seeds: {', '.join(cells)}")
        lines.append("  (mean over tasks ± SD over seeds, 95 % Student interval of that mean)")
    if any(entry["n_distinct"] < entry["n_test"] for entry in data["tasks"]):
        lines.append("* fewer distinct queries than n: the task has few inputs, they repeat.")
    if any(map(_has_few_labels, data["tasks"])):
        lines.append(
            f"constant: the best single answer, chosen on dev; for tasks of at most {FEW_LABELS} "
            "labels."
        )
    return [*lines, *_faults(data)]


def _faults(data: Mapping[str, Any]) -> list[str]:
    """What the marks of a table mean, and which tasks its means leave out."""
    flagged, lines = [faults for entry in data["tasks"] if (faults := faults_of(entry))], []
    if not all(map(untold, flagged)):
        lines.append("! θ does not carry the task, for the reason beside it: no success.")
    if any(map(untold, flagged)):
        lines.append(
            "! too few prompts to tell whether θ carries the task: it is counted as no success."
        )
    if any(COPIES in faults for faults in flagged):
        lines.append(
            "! with θ the model repeats a dummy's own answer more often than without, or is right "
            "only where a dummy gives the answer: no success."
        )
    lines += [
        f"! {in_one_line(task)} is left out of the means: {reason}."
        for task, reason in data["summary"].get("left_out", {}).items()
    ]
    return lines

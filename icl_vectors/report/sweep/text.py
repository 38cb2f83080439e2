"""Results as plain text: one line a task, a final table, a spark line of accuracy by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from icl_vectors.plain_text import in_one_line, spark_line
from icl_vectors.report.statistics import FEWEST_TASKS, Interval, recovered, task_means
from icl_vectors.report.table import interval
from icl_vectors.runs.schema import COPIES, FEW_LABELS, METHODS, TaskResult, faults_of, untold

WAYS = {"first_token": 7, "prefix": 8, "exact": 13}  # widths of their columns
GENERATED = ("hypothesis", "regular")


def text(data: Mapping[str, Any]) -> str:
    """The sweep's table, and that of whole answers where they were generated."""
    whole = _generated(data) or _labels(data)
    return sweep_table(data) + (f"\n\n{whole}" if whole else "")


def sweep_table(data: Mapping[str, Any]) -> str:
    """The table of a sweep: accuracy on test with its 95 % interval, and the layer chosen.

    Where a task has few labels, a column says what the best constant answer earns.
    """
    few = any(map(_has_few_labels, data["tasks"]))
    names = [in_one_line(_named(entry, data)) for entry in data["tasks"]]
    width = max(27, *(len(name) + 1 for name in names), 0)
    header = f"{'task':<{width}}" + "".join(f"{method:<19}" for method in METHODS)
    header += "constant  " if few else ""
    lines = [header + f"layer  {'n':>3}  accuracy by layer (dev)"]
    for name, entry in zip(names, data["tasks"], strict=True):
        cells = "".join(f"{interval(entry[method]):<19}" for method in METHODS)
        if few:
            shown = f"{entry['constant']['accuracy']:.2f}" if _has_few_labels(entry) else ""
            cells += f"{shown:<10}"
        distinct = "" if entry["n_distinct"] == entry["n_test"] else "*"
        lines.append(
            f"{name:<{width}}{cells}{entry['best_layer']:>5}  {entry['n_test']:>3}"
            f"{distinct:1} {spark_line(entry['dev_accuracy_by_layer'])}"
            + (f"  ! {'; '.join(faults)}" if (faults := faults_of(entry)) else "")
        )
    return "\n".join([*lines, *_remarks(data, width), *_faults(data)])


def _has_few_labels(entry: Mapping[str, Any]) -> bool:
    return bool(0 < entry.get("n_labels", 0) <= FEW_LABELS)


def _named(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    several = len({one["seed"] for one in data["tasks"]}) > 1
    return f"{entry['task']} seed {entry['seed']}" if several else str(entry["task"])


def _remarks(data: Mapping[str, Any], width: int) -> list[str]:
    summary, lines = data["summary"], []
    if summary["regular"] is not None:
        means = "".join(f"{summary[method]:<19.2f}" for method in METHODS)
        lines.append(f"{'mean':<{width}}{means}")
    if summary["regular"] is not None and summary["regular"] <= summary["baseline"]:
        lines.append(
            "Regular is not above the baseline: on these prompts demonstrations add nothing that θ "
            f"could recover ({data['model']}, {data['dtype']}, {data['n_layers']} blocks)."
        )
    elif summary["recovered"] is not None:
        share = _recovered_with_faults_as_0(data)
        zero = f", {share.value:.0%} with tasks marked ! as 0" if share else ""
        few = len({entry["task"] for entry in data["tasks"]}) < FEWEST_TASKS
        lines.append(
            f"θ alone recovers {summary['recovered']:.0%} of regular in-context learning{zero} "
            f"({data['model']}, {data['dtype']}, {data['n_layers']} blocks)"
            + ("; too few tasks to say more." if few else ".")
        )
    if seeds := summary.get("seeds"):
        spreads = {m: [seeds[m][key] for key in ("mean", "low", "high", "sd")] for m in METHODS}
        cells = ", ".join(f"{method} {Interval(*spread)}" for method, spread in spreads.items())
        lines.append(f"over {seeds['n']} seeds: {cells}")
        lines.append("  (mean over tasks ± SD over seeds, 95 % Student interval of that mean)")
    if any(entry["n_distinct"] < entry["n_test"] for entry in data["tasks"]):
        lines.append("* fewer distinct queries than n: the task has few inputs, they repeat.")
    if any(map(_has_few_labels, data["tasks"])):
        lines.append(
            f"constant: the best single answer, chosen on dev; for tasks of at most {FEW_LABELS} "
            "labels."
        )
    return lines


def _recovered_with_faults_as_0(data: Mapping[str, Any]) -> Interval | None:
    """As the report says it; None where no task has a fault."""
    if not any(map(faults_of, data["tasks"])):
        return None
    left_out = data["summary"].get("left_out", ())
    counted = [one for one in data["tasks"] if one["task"] not in left_out]
    return recovered(task_means([TaskResult.model_validate(one) for one in counted]))


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


def _generated(data: Mapping[str, Any]) -> str:
    """Of `--answer generate`: the same answers by first token, by prefix, and whole; else ""."""
    entries = [entry for entry in data["tasks"] if entry.get("answer") == "generate"]
    if not entries:
        return ""
    named = [(in_one_line(_named(entry, data)), [entry]) for entry in entries]
    lines = [f"{'whole answers':<28}" + "".join(f"{method:<28}" for method in GENERATED)]
    heads = "".join(f"{way.partition('_')[0]:<{width}}" for way, width in WAYS.items())
    lines.append(" " * 28 + heads * len(GENERATED))
    for name, group in (*named, ("mean", entries)):
        cells = "".join(
            f"{_mean(group, method, way):<{width}.2f}"
            for method in GENERATED
            for way, width in WAYS.items()
        )
        lines.append(f"{name:<28}{cells}")
    end = "The table above counts whole answers (exact); its curves by layer count first tokens."
    return "\n".join([*(line.rstrip() for line in lines), end])


def _labels(data: Mapping[str, Any]) -> str:
    """Of `--answer labels`: what the likeliest of all tokens earns; else ""."""
    entries = [entry for entry in data["tasks"] if entry.get("answer") == "labels"]
    lines = ["first generated token".ljust(28) + "".join(f"{one:<14}" for one in METHODS)]
    for entry in entries:
        cells = "".join(f"{entry[one]['first_token']['accuracy']:<14.2f}" for one in METHODS)
        lines.append(f"{in_one_line(_named(entry, data)):<28}{cells}".rstrip())
    lines.append("The table above counts the likeliest of the task's labels; so do its curves.")
    return "\n".join(lines) if entries else ""


def _mean(entries: Sequence[Mapping[str, Any]], method: str, way: str) -> float:
    cells = [entry[method] for entry in entries]
    shares = [cell["accuracy"] if way == "exact" else cell[way]["accuracy"] for cell in cells]
    return float(sum(shares) / len(shares))

"""Results as plain text: one line a task, a final table, a spark line of accuracy by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

SPARKS = "▁▂▃▄▅▆▇█"
METHODS = ("baseline", "hypothesis", "regular")


def spark_line(values: Sequence[float | None]) -> str:
    """Accuracies between 0 and 1 as bars; a layer that was not swept is a dot."""
    return "".join("·" if v is None else SPARKS[min(7, int(v * 8))] for v in values)


def sweep_line(entry: Mapping[str, Any]) -> str:
    """One task's result on one line."""
    figures = "  ".join(f"{method} {entry[method]['accuracy']:.2f}" for method in METHODS)
    flag = "  copies its dummies" if entry.get("copies_dummies") else ""
    return (
        f"{entry['task']:<27}{figures}  layer {entry['best_layer']:>2}  "
        f"{spark_line(entry['dev_accuracy_by_layer'])}{flag}"
    )


def sweep_table(data: Mapping[str, Any]) -> str:
    """The table of a sweep: accuracy on test with its 95 % interval, and the layer chosen."""
    header = f"{'task':<27}" + "".join(f"{method:<19}" for method in METHODS)
    lines = [header + f"layer  {'n':>3}  accuracy by layer (dev)"]
    for entry in data["tasks"]:
        cells = "".join(f"{_interval(entry[method]):<19}" for method in METHODS)
        seed = f" seed {entry['seed']}" if len({e["seed"] for e in data["tasks"]}) > 1 else ""
        distinct = "" if entry["n_distinct"] == entry["n_test"] else "*"
        lines.append(
            f"{entry['task'] + seed:<27}{cells}{entry['best_layer']:>5}  {entry['n_test']:>3}"
            f"{distinct:1} {spark_line(entry['dev_accuracy_by_layer'])}"
            + ("  ! copies its dummies" if entry["copies_dummies"] else "")
        )
    lines += _remarks(data)
    return "\n".join(lines)


def _interval(cell: Mapping[str, float]) -> str:
    return f"{cell['accuracy']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


def _remarks(data: Mapping[str, Any]) -> list[str]:
    summary, lines = data["summary"], []
    if summary["regular"] is not None:
        means = "".join(f"{summary[method]:<19.2f}" for method in METHODS)
        lines.append(f"{'mean':<27}{means}")
    if summary["recovered"] is not None:
        lines.append(
            f"θ alone recovers {summary['recovered']:.0%} of regular in-context learning "
            f"({data['model']}, {data['dtype']}, {data['n_layers']} blocks)."
        )
    if any(entry["n_distinct"] < entry["n_test"] for entry in data["tasks"]):
        lines.append("* fewer distinct queries than n: the task has few inputs, they repeat.")
    if any(entry["copies_dummies"] for entry in data["tasks"]):
        lines.append(
            "! with θ the model repeats a dummy's own answer more often than without: no success."
        )
    return lines

"""Results as plain text: one line a task, a final table, a spark line of accuracy by layer."""

from collections.abc import Callable, Mapping
from typing import Any

from icl_vectors.cli.tables_of_answers import answers_table
from icl_vectors.cli.tables_of_compare import compare_table
from icl_vectors.cli.terminal import printable
from icl_vectors.experiments.experiment import Experiment
from icl_vectors.experiments.results import Results
from icl_vectors.plain_text import spark_line
from icl_vectors.run_shapes import COPIES, FEW_LABELS, faults_of

FEW_TASKS = 3  # below that the report gives no verdict either
METHODS = ("baseline", "hypothesis", "regular")


def text_of(kind: type[Experiment], data: Mapping[str, Any]) -> str:
    """The table of an experiment's results for the terminal."""
    table = TABLES.get(kind.name)
    return table(data) if table else str(Results(kind, dict(data)))


def sweep_table(data: Mapping[str, Any]) -> str:
    """The table of a sweep: accuracy on test with its 95 % interval, and the layer chosen.

    Where a task has few labels, a column says what the best constant answer earns.
    """
    few = any(map(_has_few_labels, data["tasks"]))
    header = f"{'task':<27}" + "".join(f"{method:<19}" for method in METHODS)
    header += "constant  " if few else ""
    lines = [header + f"layer  {'n':>3}  accuracy by layer (dev)"]
    for entry in data["tasks"]:
        cells = "".join(f"{_interval(entry[method]):<19}" for method in METHODS)
        cells += f"{_constant(entry):<10}" if few else ""
        seed = f" seed {entry['seed']}" if len({e["seed"] for e in data["tasks"]}) > 1 else ""
        name = printable(entry["task"]) + seed
        distinct = "" if entry["n_distinct"] == entry["n_test"] else "*"
        lines.append(
            f"{name:<27}{cells}{entry['best_layer']:>5}  {entry['n_test']:>3}"
            f"{distinct:1} {spark_line(entry['dev_accuracy_by_layer'])}"
            + (f"  ! {'; '.join(faults)}" if (faults := faults_of(entry)) else "")
        )
    lines += _remarks(data)
    return "\n".join(lines)


def _has_few_labels(entry: Mapping[str, Any]) -> bool:
    return bool(0 < entry.get("n_labels", 0) <= FEW_LABELS)


def _constant(entry: Mapping[str, Any]) -> str:
    return f"{entry['constant']['accuracy']:.2f}" if _has_few_labels(entry) else ""


def _interval(cell: Mapping[str, float]) -> str:
    return f"{cell['accuracy']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


def _over_seeds(method: str, found: Mapping[str, float]) -> str:
    span = f"[{found['low']:.2f}, {found['high']:.2f}]"
    return f"{method} {found['mean']:.2f} ± {found['sd']:.2f} {span}"


def _remarks(data: Mapping[str, Any]) -> list[str]:
    summary, lines = data["summary"], []
    if summary["regular"] is not None:
        means = "".join(f"{summary[method]:<19.2f}" for method in METHODS)
        lines.append(f"{'mean':<27}{means}")
    if summary["recovered"] is not None:
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
    faults = {fault for entry in data["tasks"] for fault in faults_of(entry)}
    lines = ["! θ does not carry the task, for the reason beside it: no success."] if faults else []
    if COPIES in faults:
        lines.append(
            "! with θ the model repeats a dummy's own answer more often than without, or is right "
            "only where a dummy gives the answer: no success."
        )
    lines += [
        f"! {printable(task)} is left out of the means: {reason}."
        for task, reason in data["summary"].get("left_out", {}).items()
    ]
    return lines


def conflict_table(data: Mapping[str, Any]) -> str:
    """Accuracy on A's and on B's answers, without and with θ of B."""
    lines = [f"{'demonstrations of A → θ of B':<58}{'regular: A':<19}{'B':<19}{'θ of B: A':<19}B"]
    for pair in data["conflict"]:
        cells = [pair[which][side] for which in ("regular", "injected") for side in ("a", "b")]
        shown = "".join(f"{_interval(cell):<19}" for cell in cells)
        lines.append(f"{printable(pair['a'] + ' → ' + pair['b']):<58}{shown.rstrip()}")
    return "\n".join(lines)


def cluster_table(data: Mapping[str, Any]) -> str:
    """Silhouette, distances, and the nearest task of each task."""
    found = data["cluster"]
    lines = [
        f"silhouette {found['silhouette']:.2f} (cosine) at block {found['layer']}, "
        f"{found['per_task']} θ a task",
        f"mean cosine distance within a task {found['within']:.3f}, between {found['between']:.3f}",
    ]
    nearest = found["nearest"]
    for task, other in nearest.items():
        mutual = " (mutual)" if nearest[other] == task else ""
        lines.append(f"{printable(task):<27} nearest {printable(other)}{mutual}")
    return "\n".join(lines)


def vocabulary_table(data: Mapping[str, Any]) -> str:
    """The first tokens of each task's θ."""
    lines = []
    for entry in data["vocabulary"]:
        words = ", ".join(printable(token["token"].strip()) for token in entry["tokens"][:10])
        lines.append(f"{printable(entry['task']):<27} block {entry['layer']:>2}  {words}")
    return "\n".join(lines)


def reproduce_table(data: Mapping[str, Any]) -> str:
    """All tables, one after the other."""
    tables = [sweep_table(data)]
    for key, table in (
        ("cluster", cluster_table),
        ("conflict", conflict_table),
        ("vocabulary", vocabulary_table),
    ):
        if key in data:
            tables.append(table(data))
    return "\n\n".join(tables)


def _sweep(data: Mapping[str, Any]) -> str:
    """The sweep's table, and that of whole answers where they were generated."""
    whole = answers_table(data)
    return sweep_table(data) + (f"\n\n{whole}" if whole else "")


TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "sweep": _sweep,
    "conflict": conflict_table,
    "cluster": cluster_table,
    "vocabulary": vocabulary_table,
    "compare": compare_table,
    "reproduce": reproduce_table,
}

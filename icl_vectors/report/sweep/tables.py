"""Tables on accuracies: tasks, categories, models, examples of answers."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from icl_vectors.report import paper
from icl_vectors.report.drawing import order_categories
from icl_vectors.report.statistics import Measure, TaskMean, mean_curve, mean_interval, task_means
from icl_vectors.report.table import Cell, Column, Table, number, span
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import FEW_LABELS, METHODS, TaskResult, untold
from icl_vectors.scoring import entries_by_seed, over_seeds

FEW_NOTE = (
    f" Constant: the best single answer, chosen on dev, for tasks of at most {FEW_LABELS} labels. "
    "Apart: on the test prompts whose answer no dummy gives."
)
METHOD_COLUMNS = tuple(Column(method, True) for method in METHODS)


def tasks_table(tasks: Sequence[TaskMean]) -> Table:
    """The main table: every task with its methods, best block and flags."""
    seeds = max(len(task.seeds) for task in tasks)
    more = ("constant", "hyp. apart", "reg. apart") if any(t.constant for t in tasks) else ()
    note = "Accuracy on test prompts with its 95 % Wilson interval"
    if seeds > 1:
        note += f" (mean ± SD over up to {seeds} seeds; the interval is that of all answers)"
    return Table(
        "tasks",
        "Accuracy on test by task",
        (
            Column("task"),
            Column("category"),
            *METHOD_COLUMNS,
            *(Column(title, True) for title in more),
            Column("best block", True),
            Column("n", True),
            Column("flags"),
        ),
        tuple(_task_row(task, bool(more)) for task in tasks),
        f"{note}; the block was chosen on dev prompts, highest accuracy, ties to the lowest."
        + (FEW_NOTE if more else ""),
    )


def categories_table(tasks: Sequence[TaskMean]) -> Table:
    """Means by category beside the paper's over seven models."""
    rows = [
        _category_row(
            category,
            [task for task in tasks if task.category == category],
            paper.CATEGORIES.get(category),
        )
        for category in order_categories([task.category for task in tasks])
    ]
    rows.append(_category_row("all", tasks, paper.OVERALL))
    return Table(
        "categories",
        "By category",
        (
            Column("category"),
            Column("tasks", True),
            *METHOD_COLUMNS,
            *(Column(f"paper: {method}", True) for method in METHODS),
        ),
        tuple(rows),
        "Means over tasks with 95 % bootstrap intervals over tasks (none for fewer than 3); the "
        "paper's are means over 7 models.",
    )


def seeds_table(results: Sequence[TaskResult]) -> Table | None:
    """Means over tasks for each seed, with mean, SD and interval over seeds; None for one seed."""
    by_seed = entries_by_seed([(one.task, one.seed, one) for one in results])
    if len(by_seed) < 2:
        return None
    columns = [
        [fmean(getattr(one, method).accuracy for one in group) for group in by_seed.values()]
        for method in METHODS
    ]
    rows = [
        (Cell(str(seed), seed), *map(number, values))
        for seed, values in zip(by_seed, zip(*columns, strict=True), strict=True)
    ]
    spreads = [over_seeds(values) for values in columns]
    cells = [span(one.mean, one.low, one.high, one.sd) for one in spreads]
    tasks = len(next(iter(by_seed.values())))
    return Table(
        "seeds",
        "Over seeds",
        (Column("seed"), *METHOD_COLUMNS),
        (*rows, (Cell("all"), *cells)),
        f"Means over the {tasks} task(s) that have all {len(by_seed)} seeds. Last row: mean ± SD "
        "over seeds and the 95 % Student interval of that mean: how much the draw of prompts and "
        "demonstrations matters with these tasks, not how other tasks would fare.",
    )


def flags(task: TaskMean) -> Iterator[str]:
    """What a reader must know of a task before believing its figures."""
    if task.fails:
        counted = "counted as no success" if untold(task.fails) else "no success"
        yield f"{'; '.join(task.fails)}: {counted}"
    if task.n_distinct * len(task.seeds) < task.n_test:
        yield f"{task.n_distinct} distinct queries"
    if task.n_echo:
        yield f"{task.n_echo} answers begin like the query"


def _task_row(task: TaskMean, more: bool) -> tuple[Cell, ...]:
    measures = [task.measure(method) for method in METHODS]
    layers = sorted(set(task.best_layers))
    return (
        Cell(task.task),
        Cell(task.category),
        *(span(one.mean, one.low, one.high, one.sd) for one in measures),
        *(map(_span, (task.constant, *(task.apart or (None, None)))) if more else ()),
        Cell(", ".join(map(str, layers)), fmean(task.best_layers)),
        number(task.n_test, 0),
        Cell("; ".join(flags(task)), mark="bad" if task.fails else ""),
    )


def _span(one: Measure | None) -> Cell:
    return number(None) if one is None else span(one.mean, one.low, one.high, one.sd)


def _category_row(
    category: str, tasks: Sequence[TaskMean], theirs: tuple[float, ...] | None
) -> tuple[Cell, ...]:
    ours = [mean_interval([task.measure(method).mean for task in tasks]) for method in METHODS]
    return (
        Cell(category),
        number(len(tasks), 0),
        *(span(one.value, one.low, one.high) for one in ours),
        *(number(one) for one in theirs or (None, None, None)),
    )


def models_table(runs: Sequence[Run], labels: Sequence[str]) -> Table:
    """Each run beside the paper's models."""
    return Table(
        "models",
        "Beside the paper's models",
        (
            Column("model"),
            Column("blocks", True),
            *METHOD_COLUMNS,
            Column("hyp. / reg.", True),
            Column("best block", True),
            Column("depth", True),
        ),
        (
            *(row for run, label in zip(runs, labels, strict=True) for row in _run_row(run, label)),
            *(_paper_row(model) for model in paper.MODELS),
        ),
        "Means over tasks. Best block: that of the mean curve over tasks, depth (block + 1) / "
        "blocks. Rows that begin with “paper” are the authors' own results.",
    )


def _run_row(run: Run, label: str) -> Iterator[tuple[Cell, ...]]:
    tasks = task_means(run.counted)
    if not tasks:
        return
    means = [fmean(task.measure(method).mean for task in tasks) for method in METHODS]
    curve = mean_curve(tasks, run.n_layers)
    yield (
        Cell(label),
        number(run.n_layers, 0),
        *map(number, means),
        number(means[1] / means[2] if means[2] else None),
        number(curve.best_layer if curve else None, 0),
        span(curve.depth.value, curve.depth.low, curve.depth.high) if curve else number(None),
    )


def _paper_row(model: paper.PaperModel) -> tuple[Cell, ...]:
    return (
        Cell(f"paper: {model.name}"),
        number(model.n_layers, 0),
        *map(number, (model.baseline, model.hypothesis, model.regular)),
        number(model.hypothesis / model.regular),
        number(model.best_layer, 0),
        number(model.depth),
    )

"""Tables on accuracies: tasks, categories, seeds, models."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from icl_vectors.report import paper
from icl_vectors.report.drawing import order_categories
from icl_vectors.report.statistics import Interval, TaskMean, mean_curve, mean_interval, task_means
from icl_vectors.report.table import Cell, Table, Value, numbers, words
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import FEW_LABELS, METHODS, TaskResult, untold
from icl_vectors.scoring import entries_by_seed, over_seeds

FEW_NOTE = (
    f" Constant: the best single answer, chosen on dev, for tasks of at most {FEW_LABELS} labels. "
    "Apart: on the test prompts whose answer no dummy gives."
)


def by_category(tasks: Sequence[TaskMean]) -> dict[str, list[TaskMean]]:
    """Tasks by category, the paper's first."""
    names = order_categories([task.category for task in tasks])
    return {name: [task for task in tasks if task.category == name] for name in names}


def tasks_table(tasks: Sequence[TaskMean]) -> Table:
    """The main table: every task with its methods, best block and flags."""
    seeds = max(len(task.seeds) for task in tasks)
    more = ("constant", "hyp. apart", "reg. apart") if any(t.constant for t in tasks) else ()
    note = "Accuracy on test prompts with its 95 % Wilson interval"
    if seeds > 1:
        note += f" (mean ± SD over up to {seeds} seeds; the interval is that of all answers)"
    return Table.of(
        "tasks",
        "Accuracy on test by task",
        words("task", "category")
        + numbers(*METHODS, "best block", "n")
        + words("flags")
        + numbers(*more),
        (
            (
                task.task,
                task.category,
                *task.by_method.values(),
                Cell(", ".join(map(str, sorted(set(task.best_layers)))), fmean(task.best_layers)),
                task.n_test,
                Cell("; ".join(flags(task)), mark="bad" if task.fails else ""),
                *((task.constant, *(task.apart or (None, None))) if more else ()),
            )
            for task in tasks
        ),
        f"{note}; the block was chosen on dev prompts, highest accuracy, ties to the lowest."
        + (FEW_NOTE if more else ""),
    )


def flags(task: TaskMean) -> Iterator[str]:
    """What a reader must know of a task before believing its figures."""
    if task.fails:
        counted = "counted as no success" if untold(task.fails) else "no success"
        yield f"{task.reasons}: {counted}"
    if task.n_distinct * len(task.seeds) < task.n_test:
        yield f"{task.n_distinct} distinct queries"
    if task.n_echo:
        yield f"{task.n_echo} answers begin like the query"


def categories_table(tasks: Sequence[TaskMean]) -> Table:
    """Means by category beside the paper's over seven models."""
    groups = [(*one, paper.CATEGORIES.get(one[0])) for one in by_category(tasks).items()]
    return Table.of(
        "categories",
        "By category",
        words("category") + numbers("tasks", *METHODS, *(f"paper: {one}" for one in METHODS)),
        (
            (
                name,
                len(group),
                *(mean_interval([one.by_method[m].value for one in group]) for m in METHODS),
                *(theirs or (None, None, None)),
            )
            for name, group, theirs in (*groups, ("all", tasks, paper.OVERALL))
        ),
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
    seeds = (Cell(str(seed), seed) for seed in by_seed)
    spreads = (over_seeds(values) for values in columns)
    tasks = len(next(iter(by_seed.values())))
    return Table.of(
        "seeds",
        "Over seeds",
        words("seed") + numbers(*METHODS),
        (
            *zip(seeds, *columns, strict=True),
            ("all", *(Interval(one.mean, one.low, one.high, one.sd) for one in spreads)),
        ),
        f"Means over the {tasks} task(s) that have all {len(by_seed)} seeds. Last row: mean ± SD "
        "over seeds and the 95 % Student interval of that mean: how much the draw of prompts and "
        "demonstrations matters with these tasks, not how other tasks would fare.",
    )


def models_table(runs: Sequence[Run], labels: Sequence[str]) -> Table:
    """Each run beside the paper's models."""
    return Table.of(
        "models",
        "Beside the paper's models",
        words("model") + numbers("blocks", *METHODS, "hyp. / reg.", "best block", "depth"),
        (
            *(row for run, label in zip(runs, labels, strict=True) for row in _run_row(run, label)),
            *map(_paper_row, paper.MODELS),
        ),
        "Means over tasks. Best block: that of the mean curve over tasks, depth (block + 1) / "
        "blocks. Rows that begin with “paper” are the authors' own results.",
    )


def _run_row(run: Run, label: str) -> Iterator[tuple[Value, ...]]:
    if tasks := task_means(run.counted):
        means = [fmean(task.by_method[method].value for task in tasks) for method in METHODS]
        recovered = means[1] / means[2] if means[2] else None
        curve = mean_curve(tasks, run.n_layers)
        best = (curve.best_layer, curve.depth) if curve else (None, None)
        yield label, run.n_layers, *means, recovered, *best


def _paper_row(model: paper.PaperModel) -> tuple[Value, ...]:
    means = model.baseline, model.hypothesis, model.regular
    recovered = model.hypothesis / model.regular
    return f"paper: {model.name}", model.n_layers, *means, recovered, model.best_layer, model.depth

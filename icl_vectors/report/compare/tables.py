"""Tables of a comparison: methods, each task, controls, arrows, shots."""

from collections.abc import Sequence
from statistics import fmean

from icl_vectors.report.compare.gap import gap_table
from icl_vectors.report.section import FAILS, HOLDS, MARKS
from icl_vectors.report.statistics import Interval, mean_interval, ratio_interval
from icl_vectors.report.table import Cell, Column, Table, number, span
from icl_vectors.runs.run import REGULAR, ZERO_SHOT, Comparison
from icl_vectors.runs.schema import FEW_LABELS, Compared

CONDITIONS = {"random": "random", "shuffled": "shuffled answers", "other-task": "another task's"}
CONDITIONS |= {"task-mean": "mean over tasks", "zero-shot": "zero-shot", "regular": "regular"}


def comparison_tables(found: Comparison) -> list[Table]:
    """The tables for which the comparison has data."""
    tables = []
    if found.summary:
        gap = gap_table(found)
        tables += [methods_table(found), controls_table(found), *([gap] if gap else [])]
    tables.append(tasks_of_methods_table(found))
    if any(map(_has_few_labels, found.entries)):
        tables.append(labels_table(found))
    for name, title, entries, head, note in (
        (
            "arrows",
            "Under other arrows",
            found.arrows,
            "its own",
            "Vectors made under the template's own arrow, put into queries with another; means "
            "over tasks, from three tasks on with 95 % bootstrap intervals.",
        ),
        (
            "shots",
            "Against the number of demonstrations",
            found.shots,
            "",
            "Accuracy where vectors, or the regular prompt, come from so many demonstrations; the "
            "choices are those made with the comparison's own number. Without demonstrations, "
            "regular is zero-shot. Means over tasks, from three tasks on with 95 % bootstrap "
            "intervals.",
        ),
    ):
        if entries:
            tables.append(_conditions_table(name, title, found, entries, head, note))
    return tables


def methods_table(found: Comparison) -> Table:
    """Means over tasks of each method, beside what it costs."""
    regular = {one.task: one.accuracy for one in found.of_method(REGULAR).values()}
    rows = []
    for one in found.summary:
        own = found.of_method(one.method)
        shares = [entry.accuracy for entry in own.values()]
        paired = [task for task in own if task in regular]
        share = ratio_interval(
            [own[task].accuracy for task in paired], [regular[task] for task in paired]
        )
        verdict = {True: HOLDS, False: FAILS, None: ""}[one.beats_controls]
        rows.append(
            (
                Cell(one.method),
                _interval(mean_interval(shares)),
                _interval(share) if share else number(None),
                *(
                    number(fmean(getattr(entry, key) for entry in own.values()))
                    for key in ("log_probability", "rank", "total_variation", "divergence")
                ),
                Cell(
                    {True: "all", False: "not all", None: "can't tell"}[one.beats_controls]
                    if one.against and one.method not in (REGULAR, ZERO_SHOT)
                    else "–",
                    mark=MARKS.get(verdict, ""),
                ),
                number(one.layer_tokens, 0),
                number(one.layer_tokens_choosing + one.ranking, 0),
                number(one.seconds, 1),
                number(one.jobs, 0),
            )
        )
    first = found.summary[0]
    numeric = ("accuracy", "/ regular", "log p", "rank", "TV", "KL")
    costs = ("layer-tokens", "… to choose", "seconds", "jobs")
    return Table(
        "methods_compared",
        "Kinds of task vectors",
        (
            Column("method"),
            *(Column(name, True) for name in numeric),
            Column("beats controls"),
            *(Column(name, True) for name in costs),
        ),
        tuple(rows),
        f"{first.n_tasks} tasks, {first.n} test prompts, the same for every method. Accuracy: mean "
        "over tasks, from three tasks on with 95 % bootstrap interval. log p, rank: of the "
        "likeliest accepted first token (mean, median; means over tasks). TV, KL: total "
        "variation and Kullback–Leibler divergence (nats) from the regular prompt's next-token "
        "distribution. Layer-tokens: one token through one block, for the vectors and answers of "
        "the test prompts; to choose: for the choice on dev, for function also the ranking of the "
        "heads, for learned the training at all other candidates (a backward pass counts as two). "
        "Seconds are of both, with the regular answers that are measured beside.",
    )


def controls_table(found: Comparison) -> Table:
    """Each method beside regular, zero-shot and its controls, paired on the same prompts."""
    others = list(
        dict.fromkeys(other.rpartition(":")[2] for one in found.summary for other in one.against)
    )
    rows = []
    for one in found.summary:
        if not any(":" in other for other in one.against):
            continue
        by_other = {other.rpartition(":")[2]: one for other, one in one.against.items()}
        cells = []
        for name in others:
            against = by_other.get(name)
            if against is None:
                cells.append(number(None))
                continue
            better = against.won > against.lost and against.p < 0.05
            mark = "none" if name == REGULAR else "good" if better else "bad"
            p = "p < .001" if against.p < 0.001 else f"p = {against.p:.3f}"
            text = f"{against.accuracy:.2f}; {against.won} : {against.lost}; {p}"
            cells.append(Cell(text, against.accuracy, mark))
        rows.append((Cell(one.method), number(one.accuracy), *cells))
    return Table(
        "controls",
        "Beside its controls",
        (
            Column("method"),
            Column("accuracy", True),
            *(Column(CONDITIONS.get(name, name)) for name in others),
        ),
        tuple(rows),
        "Each cell: the control's accuracy; prompts that only the method got right : prompts that "
        "only the control did; McNemar's exact two-sided p. Controls use the method's own choices: "
        "random vectors of the same norms, vectors from demonstrations with shuffled answers, the "
        "mean vectors of another task and over all tasks.",
    )


def tasks_of_methods_table(found: Comparison) -> Table:
    """Every method on every task."""
    methods = found.methods
    by_method = {method: found.of_method(method) for method in methods}
    categories = {one.task: one.category for one in found.entries}
    return Table(
        "tasks_of_methods",
        "Every method on every task",
        (Column("task"), Column("category"), *(Column(method, True) for method in methods)),
        tuple(
            (
                Cell(task),
                Cell(categories[task]),
                *(_accuracy(by_method[method].get(task)) for method in methods),
            )
            for task in found.tasks
        ),
        "Accuracy on test with 95 % Wilson intervals.",
    )


def labels_table(found: Comparison) -> Table:
    """Every method on every task of few labels, beside its controls and a constant answer."""
    controls = list(dict.fromkeys(one.method.partition(":")[2] for one in found.entries if one.of))
    rows = []
    for one in found.entries:
        if one.of or one.constant is None or not _has_few_labels(one):
            continue
        beside = [found.of_method(f"{one.method}:{name}").get(one.task) for name in controls]
        left = number(None)
        if one.apart and one.apart.accuracy is not None:
            cell = span(one.apart.accuracy, one.apart.low, one.apart.high)
            left = Cell(f"{cell.text}; n {one.apart.n}", cell.order)
        said = Cell("; ".join(one.fails) or "–", mark="bad" if one.fails else "none")
        cells = [number(control.accuracy if control else None) for control in beside]
        shown = (_accuracy(one), *cells, number(one.constant.accuracy), left, said)
        rows.append((Cell(one.task), Cell(one.method), *shown))
    return Table(
        "labels_of_methods",
        "Where labels are few",
        (
            Column("task"),
            Column("method"),
            Column("accuracy", True),
            *(Column(CONDITIONS.get(name, name), True) for name in controls),
            Column("constant", True),
            Column("apart", True),
            Column("why no success"),
        ),
        tuple(rows),
        "Accuracy on test and, where no dummy gives the answer (apart), on those n prompts, with "
        "95 % Wilson intervals; constant: the best single answer, chosen on dev.",
    )


def _has_few_labels(one: Compared) -> bool:
    return one.n_labels is not None and one.n_labels <= FEW_LABELS


def _conditions_table(
    name: str, title: str, found: Comparison, entries: Sequence[Compared], head: str, note: str
) -> Table:
    conditions = list(dict.fromkeys(one.condition for one in entries))
    if name == "shots":
        conditions.sort(key=lambda text: int(text) if text.isdecimal() else 0)
    methods = [method for method in found.methods if any(one.method == method for one in entries)]
    rows = []
    for method in methods:
        own = [one for one in found.entries if one.method == method]
        cells = [_mean(own)] if head else []
        for condition in conditions:
            cells.append(
                _mean([e for e in entries if e.method == method and e.condition == condition])
            )
        rows.append((Cell(method), *cells))
    columns = ([head] if head else []) + conditions
    return Table(
        name,
        title,
        (Column("method"), *(Column(column, True) for column in columns)),
        tuple(rows),
        note,
    )


def _mean(entries: Sequence[Compared]) -> Cell:
    if not entries:
        return number(None)
    return _interval(mean_interval([one.accuracy for one in entries]))


def _interval(found: Interval) -> Cell:
    return span(found.value, found.low, found.high)


def _accuracy(one: Compared | None) -> Cell:
    if one is None:
        return number(None)
    return span(one.accuracy, one.low, one.high)

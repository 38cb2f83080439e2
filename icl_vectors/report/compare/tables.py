"""Tables of a comparison: methods, each task, controls, arrows, shots."""

from collections.abc import Sequence
from statistics import fmean

from icl_vectors.report.compare.gap import counts, gap_table
from icl_vectors.report.section import present
from icl_vectors.report.statistics import Interval, mean_interval, ratio_interval
from icl_vectors.report.table import Cell, Table, Value, number, numbers, words
from icl_vectors.runs.run import REGULAR, ZERO_SHOT, Comparison
from icl_vectors.runs.schema import FEW_LABELS, Against, Compared, MethodSummary
from icl_vectors.scoring import SIGNIFICANT

CONDITIONS = {"random": "random", "shuffled": "shuffled answers", "other-task": "another task's"}
CONDITIONS |= {"task-mean": "mean over tasks"}
VERDICTS = {True: ("all", "good"), False: ("not all", "bad"), None: ("can't tell", "")}


def comparison_tables(found: Comparison) -> tuple[Table, ...]:
    """The tables for which the comparison has data."""
    means = (methods_table(found), controls_table(found), gap_table(found)) if found.summary else ()
    return present(
        *means,
        tasks_of_methods_table(found),
        labels_table(found),
        _conditions_table(
            "arrows",
            "Under other arrows",
            found,
            found.arrows,
            "Vectors made under the template's own arrow, injected into queries with another; "
            "means over tasks, from three tasks on with 95 % bootstrap intervals.",
        ),
        _conditions_table(
            "shots",
            "Against the number of demonstrations",
            found,
            found.shots,
            "Accuracy where vectors, or the regular prompt, come from so many demonstrations; the "
            "choices are those made with the comparison's own number. Without demonstrations, "
            "regular is zero-shot. Means over tasks, from three tasks on with 95 % bootstrap "
            "intervals.",
        ),
    )


def methods_table(found: Comparison) -> Table:
    """Means over tasks of each method, beside what it costs."""
    first = found.summary[0]
    costs = ("layer-tokens", "… to choose", "seconds", "jobs")
    return Table.of(
        "methods_compared",
        "Kinds of task vectors",
        words("method")
        + numbers("accuracy", "/ regular", "log p", "rank", "TV", "KL")
        + words("beats controls")
        + numbers(*costs),
        (_method_row(found, one) for one in found.summary),
        f"{first.n_tasks} tasks, {first.n} test prompts, the same for every method. Accuracy: mean "
        "over tasks, from three tasks on with 95 % bootstrap interval. log p, rank: of the "
        "likeliest accepted first token (mean, median; means over tasks). TV, KL: total "
        "variation and Kullback–Leibler divergence (nats) from the regular prompt's next-token "
        "distribution. Layer-tokens: one token through one block, for the vectors and answers of "
        "the test prompts; to choose: for the choice on dev, for function also the ranking of the "
        "heads, for learned the training at all other candidates (a backward pass counts as two). "
        "Seconds are of both, with the regular answers that are measured beside.",
    )


def _method_row(found: Comparison, one: MethodSummary) -> tuple[Value, ...]:
    own, regular = found.of_method(one.method), found.of_method(REGULAR)
    paired = [(own[task].accuracy, regular[task].accuracy) for task in own if task in regular]
    beats, mark = VERDICTS[one.beats_controls]
    return (
        one.method,
        mean_interval([entry.accuracy for entry in own.values()]),
        ratio_interval([share for share, _ in paired], [share for _, share in paired]),
        *(
            fmean(getattr(entry, key) for entry in own.values())
            for key in ("log_probability", "rank", "total_variation", "divergence")
        ),
        Cell(beats if one.against and one.method not in (REGULAR, ZERO_SHOT) else "–", mark=mark),
        one.layer_tokens,
        one.layer_tokens_choosing + one.ranking,
        number(one.seconds, 1),
        one.jobs,
    )


def controls_table(found: Comparison) -> Table:
    """Each method beside regular, zero-shot and its controls, paired on the same prompts."""
    of_kind = {
        one.method: {other.rpartition(":")[2]: beside for other, beside in one.against.items()}
        for one in found.summary
    }
    kinds = list(dict.fromkeys(kind for own in of_kind.values() for kind in own))
    return Table.of(
        "controls",
        "Beside its controls",
        words("method") + numbers("accuracy") + words(*(CONDITIONS.get(one, one) for one in kinds)),
        (
            (
                one.method,
                one.accuracy,
                *(_control(kind, of_kind[one.method].get(kind)) for kind in kinds),
            )
            for one in found.summary
            if any(":" in other for other in one.against)
        ),
        "Each cell: the control's accuracy; prompts that only the method got right : prompts that "
        "only the control did; McNemar's exact two-sided p. Controls use the method's own choices: "
        "random vectors of the same norms, vectors from demonstrations with shuffled answers, the "
        "mean vectors of another task and over all tasks.",
    )


def _control(kind: str, against: Against | None) -> Cell | None:
    if against is None:
        return None
    better = against.won > against.lost and against.p < SIGNIFICANT
    mark = "none" if kind == REGULAR else "good" if better else "bad"
    return Cell(f"{against.accuracy:.2f}; {counts(against)}", against.accuracy, mark)


def tasks_of_methods_table(found: Comparison) -> Table:
    """Every method on every task."""
    by_method = {method: found.of_method(method) for method in found.methods}
    categories = {one.task: one.category for one in found.entries}
    return Table.of(
        "tasks_of_methods",
        "Every method on every task",
        words("task", "category") + numbers(*by_method),
        (
            (task, categories[task], *(own.get(task) for own in by_method.values()))
            for task in found.tasks
        ),
        "Accuracy on test with 95 % Wilson intervals.",
    )


def labels_table(found: Comparison) -> Table | None:
    """Every method on every task of few labels, beside its controls and a constant answer."""
    few = [one for one in found.entries if one.n_labels is not None and one.n_labels <= FEW_LABELS]
    if not few:
        return None
    controls = list(dict.fromkeys(one.method.partition(":")[2] for one in found.entries if one.of))
    rows: list[tuple[Value, ...]] = []
    for one in few:
        if one.of or one.constant is None:
            continue
        beside = [found.of_method(f"{one.method}:{name}").get(one.task) for name in controls]
        left = None
        if one.apart and one.apart.accuracy is not None:
            share = Interval(one.apart.accuracy, one.apart.low, one.apart.high)
            left = Cell(f"{share}; n {one.apart.n}", share.value)
        shares = (control.accuracy if control else None for control in beside)
        said = Cell("; ".join(one.fails) or "–", mark="bad" if one.fails else "none")
        rows.append((one.task, one.method, one, *shares, one.constant.accuracy, left, said))
    beside_titles = [CONDITIONS.get(name, name) for name in controls]
    return Table.of(
        "labels_of_methods",
        "Where labels are few",
        words("task", "method")
        + numbers("accuracy", *beside_titles, "constant", "apart")
        + words("why no success"),
        rows,
        "Accuracy on test and, where no dummy gives the answer (apart), on those n prompts, with "
        "95 % Wilson intervals; constant: the best single answer, chosen on dev.",
    )


def _conditions_table(
    name: str, title: str, found: Comparison, entries: Sequence[Compared], note: str
) -> Table | None:
    """Every method's mean under each arrow, its own first, or at each number of demonstrations."""
    if not entries:
        return None
    conditions = list(dict.fromkeys(one.condition for one in entries))
    own: list[tuple[str, Sequence[Compared]]] = [("its own", found.entries)]
    if name == "shots":
        conditions.sort(key=lambda text: int(text) if text.isdecimal() else 0)
        own = []
    columns = own + [(one, [e for e in entries if e.condition == one]) for one in conditions]
    there = {one.method for one in entries}
    return Table.of(
        name,
        title,
        words("method") + numbers(*(condition for condition, _ in columns)),
        (
            (method, *(_mean(listed, method) for _, listed in columns))
            for method in found.methods
            if method in there
        ),
        note,
    )


def _mean(entries: Sequence[Compared], method: str) -> Interval | None:
    own = [one.accuracy for one in entries if one.method == method]
    return mean_interval(own) if own else None

"""The sweep in the report: what θ recovers of in-context learning, and at which block.

The rules of the claims are the same for every run, tuned to none. A rule's text is beside its
verdict in the report; change one and the other must follow.
"""

from collections import Counter
from collections.abc import Sequence

from icl_vectors.report import paper
from icl_vectors.report.drawing import Drawing
from icl_vectors.report.section import FAILS, HOLDS, UNTESTED, WEAKLY, Claim, Section, graded
from icl_vectors.report.statistics import (
    FEWEST_TASKS,
    Curve,
    Interval,
    TaskMean,
    mean_curve,
    mean_interval,
    ratio_interval,
    successes,
    task_means,
)
from icl_vectors.report.sweep.figures import layers_by_task, layers_mean, methods_by_task
from icl_vectors.report.sweep.tables import categories_table, models_table, seeds_table, tasks_table
from icl_vectors.report.sweep.text import text as text
from icl_vectors.runs.run import Run

NO_SUCCESS = (
    "A task that θ is not shown to carry (its answers copy the dummies', or are not clearly better "
    "than the baseline's or a constant answer, McNemar's exact test)"
)


def sections(run: Run) -> list[Section]:
    """Claims, then the three methods, then accuracy by block; one's own tasks' table first."""
    tasks = task_means(run.counted)
    claims = (
        theta_carries_the_task(tasks),
        theta_beats_baseline(tasks),
        most_tasks_gain(tasks),
        intermediate_layer(mean_curve(tasks, run.n_layers), run.n_layers),
    )
    tables = [tasks_table(task_means(run.tasks))] if run.tasks else []
    if run.counted:
        seeds = seeds_table(run.counted)
        tables += [seeds] if seeds else []
        tables += [categories_table(tasks), models_table([run], [run.label])]
    methods, by_layer = [methods_by_task(run)], [layers_mean(run), layers_by_task(run)]
    if not run.of_paper:
        drawn = _there([layers_by_task(run), methods_by_task(run)])
        tables = [one for one in tables if one.name in ("tasks", "seeds")]
        return [
            Section("methods", "Every task", tables=tuple(tables)),
            Section("layers", "Accuracy by layer and method", figures=drawn),
        ]
    return [
        Section("methods", "Three methods", claims, _there(methods), tuple(tables)),
        Section("layers", "Which layer", (), _there(by_layer)),
    ]


def _there(drawings: Sequence[Drawing | None]) -> tuple[Drawing, ...]:
    return tuple(one for one in drawings if one is not None)


def theta_carries_the_task(tasks: Sequence[TaskMean]) -> Claim:
    """Hypothesis / regular, where the model learns in context at all."""
    verdict, ours, value = UNTESTED, _too_few(tasks), None
    if len(tasks) >= FEWEST_TASKS:
        regular = [task.regular.mean for task in tasks]
        recovered = ratio_interval(successes(tasks), regular)
        learned = mean_interval([task.regular.mean - task.baseline.mean for task in tasks])
        if recovered is None or not _above(learned, 0):
            ours = f"regular − baseline is {learned}: the model does not learn these tasks"
        else:
            value = recovered.value
            verdict = graded(value, 0.8, 0.5)
            ours = f"{recovered} of regular, {len(tasks)} tasks"
    return Claim(
        "θ carries the task",
        "One vector θ, put into a prompt without demonstrations, does most of what in-context "
        "learning does.",
        f"hypothesis / regular = {paper.RECOVERED:.2f} (.83 to .91 over 7 models)",
        ours,
        verdict,
        "Mean hypothesis / mean regular over tasks: ≥ 0.80 holds, ≥ 0.50 weakly. "
        f"{NO_SUCCESS} counts as hypothesis 0. Not tested with fewer than "
        f"{FEWEST_TASKS} tasks, or where the 95 % bootstrap interval over tasks of "
        "regular − baseline is not above 0.",
        value,
    )


def theta_beats_baseline(tasks: Sequence[TaskMean]) -> Claim:
    """Hypothesis − baseline over tasks."""
    verdict, ours, value = UNTESTED, _too_few(tasks), None
    if len(tasks) >= FEWEST_TASKS:
        pairs = zip(successes(tasks), tasks, strict=True)
        gain = mean_interval([success - task.baseline.mean for success, task in pairs])
        value = gain.value
        verdict = HOLDS if _above(gain, 0) else WEAKLY if value > 0 else FAILS
        ours = f"+{gain}" if gain.value >= 0 else str(gain)
        ours += f", {len(tasks)} tasks"
    return Claim(
        "θ beats the baseline",
        "With θ the model answers far better than on the bare query.",
        f"baseline {paper.OVERALL[0]:.2f}, hypothesis {paper.OVERALL[1]:.2f}: "
        f"+{paper.OVERALL[1] - paper.OVERALL[0]:.2f}",
        ours,
        verdict,
        "Mean of hypothesis − baseline over tasks: 95 % bootstrap interval above 0 holds, mean "
        f"above 0 weakly. {NO_SUCCESS} counts as hypothesis 0. "
        f"Not tested with fewer than {FEWEST_TASKS} tasks.",
        value,
    )


def most_tasks_gain(tasks: Sequence[TaskMean]) -> Claim:
    """The share of tasks on which θ alone is clearly over the baseline."""
    verdict, ours, value = UNTESTED, _too_few(tasks), None
    if len(tasks) >= FEWEST_TASKS:
        gaining = [
            task for task in tasks if not task.fails and task.hypothesis.low > task.baseline.high
        ]
        value = len(gaining) / len(tasks)
        verdict = graded(value, 0.8, 0.5)
        ours = f"{len(gaining)} of {len(tasks)} tasks ({_by_category(gaining, tasks)})"
    return Claim(
        "in most tasks",
        "It works across algorithmic, translation, linguistic and knowledge tasks.",
        "18 tasks in 4 categories; by category hypothesis .61 to .81, baseline .08 to .16",
        ours,
        verdict,
        "Share of tasks whose 95 % Wilson interval of hypothesis lies wholly above that of "
        "baseline: ≥ 0.80 holds, ≥ 0.50 weakly. "
        f"{NO_SUCCESS} does not count as gaining. Not tested with fewer than {FEWEST_TASKS} tasks.",
        value,
    )


def intermediate_layer(curve: Curve | None, n_layers: int) -> Claim:
    """Where the mean curve over tasks peaks."""
    verdict, ours = UNTESTED, "no sweep in this folder"
    if curve is not None:
        depths = [(layer + 1) / n_layers for layer in curve.layers]
        ours = f"block {curve.best_layer} (of 0 to {n_layers - 1}), depth {curve.depth}"
        if not (min(depths) < 0.25 and max(depths) > 0.75):
            ours += "; early or late blocks were not swept"
        elif _inside(curve.depth, 0.25, 0.75):
            verdict = HOLDS
        else:
            verdict = WEAKLY if 0.25 <= curve.depth.value <= 0.75 else FAILS
    return Claim(
        "an intermediate layer",
        "θ works best when read and injected at an intermediate block.",
        f"best block of the mean curve at depth {paper.DEPTHS[0]:.2f} to {paper.DEPTHS[1]:.2f}",
        ours,
        verdict,
        "Depth (block + 1) / blocks at which the mean dev curve over tasks peaks (ties: the "
        "lowest): 95 % bootstrap interval over tasks within 0.25 to 0.75 holds, only the peak "
        "itself within it weakly. Not tested where no block below 0.25 or none above 0.75 was "
        "swept.",
        None if verdict == UNTESTED or curve is None else curve.depth.value,
    )


def _too_few(tasks: Sequence[TaskMean]) -> str:
    return f"only {len(tasks)} task(s)" if tasks else "no sweep in this folder"


def _by_category(gaining: Sequence[TaskMean], tasks: Sequence[TaskMean]) -> str:
    gained = Counter(task.category for task in gaining)
    counts = Counter(task.category for task in tasks)
    return ", ".join(f"{one} {gained[one]} of {count}" for one, count in counts.items())


def _above(interval: Interval, bound: float) -> bool:
    return interval.low is not None and interval.low > bound


def _inside(interval: Interval, low: float, high: float) -> bool:
    if interval.low is None or interval.high is None:
        return False
    return low <= interval.low and interval.high <= high

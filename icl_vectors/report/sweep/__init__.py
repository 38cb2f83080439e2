"""The sweep in the report: what θ recovers of in-context learning, and at which block.

The rules of the claims are the same for every run, tuned to none. A rule's text is beside its
verdict in the report; change one and the other must follow.
"""

from collections import Counter
from collections.abc import Sequence

from icl_vectors.report import paper
from icl_vectors.report.section import (
    UNTESTED,
    Claim,
    Section,
    above_zero,
    graded,
    present,
    verdict_of,
)
from icl_vectors.report.statistics import (
    FEWEST_TASKS,
    TaskMean,
    mean_curve,
    mean_interval,
    recovered,
    successes,
    task_means,
)
from icl_vectors.report.sweep.figures import layers_by_task, layers_mean, methods_by_task
from icl_vectors.report.sweep.tables import categories_table, models_table, seeds_table, tasks_table
from icl_vectors.report.sweep.text import text as text
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import untold

NO_SUCCESS = (
    "A task that θ is not shown to carry (its answers copy the dummies', or are not clearly better "
    "than the baseline's or a constant answer, McNemar's exact test)"
)

NOT_TESTED = (
    f"Not tested with fewer than {FEWEST_TASKS} tasks, or where too few prompts tell on more than "
    "half of them"
)


def sections(run: Run) -> list[Section]:
    """Claims, then the three methods, then accuracy by block; one's own tasks' table first."""
    tasks = task_means(run.counted)
    tables = present(seeds_table(run.counted))
    tables = (tasks_table(task_means(run.tasks)), *tables) if run.tasks else ()
    by_task, methods = present(layers_by_task(run)), present(methods_by_task(run))
    if not run.of_paper:
        drawn = (*by_task, *methods)
        return [
            Section("methods", "Every task", tables=tables),
            Section("layers", "Accuracy by layer and method", figures=drawn),
        ]
    claims = (
        theta_carries_the_task(tasks),
        theta_beats_baseline(tasks),
        most_tasks_gain(tasks),
        intermediate_layer(tasks, run.n_layers),
    )
    if tasks:
        tables += (categories_table(tasks), models_table([run], [run.label]))
    return [
        Section("methods", "Three methods", claims, methods, tables),
        Section("layers", "Which layer", figures=(*present(layers_mean(run)), *by_task)),
    ]


def theta_carries_the_task(tasks: Sequence[TaskMean]) -> Claim:
    """Hypothesis / regular, where the model learns in context at all."""
    verdict, ours, value = UNTESTED, _untestable(tasks), None
    if not ours:
        share = recovered(tasks)
        learned = mean_interval([task.regular.value - task.baseline.value for task in tasks])
        if share is None or not learned.is_above(0):
            ours = f"regular − baseline is {learned}: demonstrations are not shown to help here"
        else:
            value = share.value
            verdict = graded(value, 0.8, 0.5)
            ours = f"{share} of regular, {len(tasks)} tasks"
    return Claim(
        "θ carries the task",
        "One vector θ, injected into a prompt without demonstrations, does most of what in-context "
        "learning does.",
        f"hypothesis / regular = {paper.RECOVERED:.2f} (.83 to .91 over 7 models)",
        ours,
        verdict,
        "Mean hypothesis / mean regular over tasks: ≥ 0.80 holds, ≥ 0.50 weakly. "
        f"{NO_SUCCESS} counts as hypothesis 0. {NOT_TESTED}; nor where the 95 % bootstrap interval "
        "over tasks of regular − baseline is not above 0.",
        value,
    )


def theta_beats_baseline(tasks: Sequence[TaskMean]) -> Claim:
    """Hypothesis − baseline over tasks."""
    verdict, ours, value = UNTESTED, _untestable(tasks), None
    if not ours:
        pairs = zip(successes(tasks), tasks, strict=True)
        gain = mean_interval([success - task.baseline.value for success, task in pairs])
        verdict, value = above_zero(gain), gain.value
        ours = f"{'+' if value >= 0 else ''}{gain}, {len(tasks)} tasks"
    return Claim(
        "θ beats the baseline",
        "With θ the model answers far better than on the bare query.",
        f"baseline {paper.OVERALL[0]:.2f}, hypothesis {paper.OVERALL[1]:.2f}: "
        f"+{paper.OVERALL[1] - paper.OVERALL[0]:.2f}",
        ours,
        verdict,
        "Mean of hypothesis − baseline over tasks: 95 % bootstrap interval above 0 holds, mean "
        f"above 0 weakly. {NO_SUCCESS} counts as hypothesis 0. {NOT_TESTED}.",
        value,
    )


def most_tasks_gain(tasks: Sequence[TaskMean]) -> Claim:
    """The share of tasks on which θ alone is clearly over the baseline."""
    verdict, ours, value = UNTESTED, _untestable(tasks), None
    if not ours:
        gaining = [t for t in tasks if not t.fails and t.hypothesis.is_above(t.baseline.high)]
        value = len(gaining) / len(tasks)
        verdict = graded(value, 0.8, 0.5)
        counts, gained = (Counter(task.category for task in own) for own in (tasks, gaining))
        each = ", ".join(f"{one} {gained[one]} of {count}" for one, count in counts.items())
        ours = f"{len(gaining)} of {len(tasks)} tasks ({each})"
    return Claim(
        "in most tasks",
        "It works across algorithmic, translation, linguistic and knowledge tasks.",
        "18 tasks in 4 categories; by category hypothesis .61 to .81, baseline .08 to .16",
        ours,
        verdict,
        "Share of tasks whose 95 % Wilson interval of hypothesis lies wholly above that of "
        "baseline: ≥ 0.80 holds, ≥ 0.50 weakly. "
        f"{NO_SUCCESS} does not count as gaining. {NOT_TESTED}.",
        value,
    )


def intermediate_layer(tasks: Sequence[TaskMean], n_layers: int) -> Claim:
    """Where the mean curve over tasks peaks."""
    unsure, curve = _untestable(tasks), mean_curve(tasks, n_layers)
    verdict, ours = UNTESTED, unsure or "no block that every task swept"
    if curve is not None and not unsure:
        depths = [(layer + 1) / n_layers for layer in curve.layers]
        ours = f"block {curve.best_layer} (of 0 to {n_layers - 1}), depth {curve.depth}"
        if not (min(depths) < 0.25 and max(depths) > 0.75):
            ours += "; early or late blocks were not swept"
        else:
            low, high = curve.depth.low, curve.depth.high
            inside = low is not None and high is not None and 0.25 <= low and high <= 0.75
            verdict = verdict_of(inside, 0.25 <= curve.depth.value <= 0.75)
    return Claim(
        "an intermediate layer",
        "θ works best when read and injected at an intermediate block.",
        f"best block of the mean curve at depth {paper.DEPTHS[0]:.2f} to {paper.DEPTHS[1]:.2f}",
        ours,
        verdict,
        "Depth (block + 1) / blocks at which the mean dev curve over tasks peaks (ties: the "
        "lowest): 95 % bootstrap interval over tasks within 0.25 to 0.75 holds, only the peak "
        f"itself within it weakly. {NOT_TESTED}, or where no block below 0.25 or none above 0.75 "
        "was swept.",
        None if verdict == UNTESTED or curve is None else curve.depth.value,
    )


def _untestable(tasks: Sequence[TaskMean]) -> str:
    """Why tasks or prompts do not suffice for a verdict; empty where they do."""
    if len(tasks) < FEWEST_TASKS:
        return f"only {len(tasks)} task(s)" if tasks else "no sweep in this folder"
    unsure = sum(untold(task.fails) for task in tasks)
    if 2 * unsure <= len(tasks):
        return ""
    return f"too few prompts to tell on {unsure} of {len(tasks)} tasks; raise --test"

"""Every claim of the paper that one run can speak to, in the order of the report."""

from icl_vectors.report.claims_of_comparison import comparison_claims
from icl_vectors.report.claims_of_sweep import (
    intermediate_layer,
    most_tasks_gain,
    theta_beats_baseline,
    theta_carries_the_task,
)
from icl_vectors.report.claims_of_vectors import (
    answers_follow_theta,
    one_cluster_a_task,
    similar_tasks_are_near,
    theta_is_not_the_output,
)
from icl_vectors.report.run import Run
from icl_vectors.report.statistics import mean_curve, task_means
from icl_vectors.report.verdicts import Claim


def claims_of(run: Run) -> list[Claim]:
    """Every claim that one run can speak to; a comparison of methods alone speaks to its own."""
    if run.is_comparison_alone:
        return comparison_claims(run.comparison)
    tasks = task_means(run.counted)
    return [
        theta_carries_the_task(tasks),
        theta_beats_baseline(tasks),
        most_tasks_gain(tasks),
        intermediate_layer(mean_curve(tasks, run.n_layers), run.n_layers),
        one_cluster_a_task(run.cluster),
        similar_tasks_are_near(run.cluster),
        answers_follow_theta(run.conflicts),
        theta_is_not_the_output(run.vocabulary),
        *comparison_claims(run.comparison),
    ]

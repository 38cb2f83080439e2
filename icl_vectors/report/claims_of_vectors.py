"""Claims on the vectors themselves: clusters, conflicts, tokens. The rules are tuned to no run.

A rule's text stands beside its verdict in the report; change one and the other must follow.
"""

from collections.abc import Sequence

from icl_vectors.report import paper
from icl_vectors.report.run import Cluster, Conflict, Vocabulary
from icl_vectors.report.verdicts import FAILS, HOLDS, UNTESTED, WEAKLY, Claim, graded

FEW_IN_OUTPUTS = 0.1  # of the top tokens


def one_cluster_a_task(cluster: Cluster | None) -> Claim:
    """The silhouette score of many θ a task."""
    verdict, ours = UNTESTED, "no cluster experiment in this folder"
    if cluster is not None:
        score = cluster.silhouette
        verdict = HOLDS if score > 0.25 else WEAKLY if score > 0 else FAILS
        ours = f"silhouette {score:.2f}"
        if cluster.within is not None and cluster.between is not None:
            ours += f"; distance {cluster.within:.2f} within, {cluster.between:.2f} between tasks"
    return Claim(
        "one cluster a task",
        "Vectors θ of the same task, from different demonstrations, form one cluster.",
        "shown as a t-SNE map; no number is given",
        ours,
        verdict,
        "Mean silhouette score of the vectors by task, cosine distance, in the full space (not on "
        "the map): > 0.25 holds, > 0 weakly.",
    )


def similar_tasks_are_near(cluster: Cluster | None) -> Claim:
    """How many natural pairs of tasks are each other's nearest."""
    verdict, ours = UNTESTED, "no cluster experiment in this folder"
    if cluster is not None:
        nearest = cluster.nearest
        pairs = [pair for pair in paper.NATURAL_PAIRS if set(pair) <= set(nearest)]
        ours = "none of the pairs was run"
        if pairs and len(nearest) > 2:
            mutual = [(a, b) for a, b in pairs if nearest[a] == b and nearest[b] == a]
            verdict = graded(len(mutual) / len(pairs), 0.75, 0.5)
            ours = f"{len(mutual)} of {len(pairs)} pairs"
        elif pairs:
            ours = "only two tasks were run: they are nearest by necessity"
    listed = ", ".join(f"{a}–{b}" for a, b in paper.NATURAL_PAIRS)
    return Claim(
        "similar tasks are near",
        "Similar tasks, such as fr_en and es_en, lie near each other.",
        "seen on the t-SNE map; no number is given",
        ours,
        verdict,
        f"Of the pairs {listed}, as far as both tasks were run: the share in which each is the "
        "other's nearest task (cosine distance of mean θ): ≥ 0.75 holds, ≥ 0.50 weakly. Not "
        "tested with two tasks or fewer.",
    )


def answers_follow_theta(conflicts: Sequence[Conflict]) -> Claim:
    """Whether answers follow θ of B against demonstrations of A."""
    verdict, ours = UNTESTED, "no conflict experiment in this folder"
    if conflicts:
        verdicts = [conflict_verdict(one) for one in conflicts]
        clear = verdicts.count(HOLDS)
        leaning = clear + verdicts.count(WEAKLY)
        if clear / len(conflicts) >= 0.75:
            verdict = HOLDS
        else:
            verdict = WEAKLY if leaning / len(conflicts) > 0.5 else FAILS
        ours = f"clearly in {clear} of {len(conflicts)} pairs, leaning to B in {leaning}"
    return Claim(
        "answers follow θ",
        "With demonstrations of task A and θ of task B, the answer follows B.",
        "LLaMA 13B: in 4 of 5 pairs; en_es → en_fr fails in the authors' results too",
        ours,
        verdict,
        "A pair is clear where, with θ of B injected, the 95 % Wilson interval of B lies wholly "
        "above that of A. Clear in ≥ 0.75 of the pairs holds, B above A in more than half weakly.",
    )


def conflict_verdict(conflict: Conflict) -> str:
    """The verdict on one pair: intervals apart, B over A at all, or neither."""
    if conflict.injected_b.low > conflict.injected_a.high:
        return HOLDS
    return WEAKLY if conflict.injected_b.accuracy > conflict.injected_a.accuracy else FAILS


def theta_is_not_the_output(vocabulary: Sequence[Vocabulary]) -> Claim:
    """Whether θ's top tokens are something else than the answers."""
    shares = [one.in_outputs for one in vocabulary]
    counted = [share for share in shares if share is not None]
    verdict = UNTESTED
    ours = "no vocabulary experiment in this folder"
    if vocabulary:
        ours = "not counted: read the table"
    if counted:
        apart = sum(share <= FEW_IN_OUTPUTS for share in counted)
        verdict = graded(apart / len(counted), 0.8, 0.5)
        ours = f"{apart} of {len(counted)} projections; whether they name the task: read the table"
    return Claim(
        "θ describes the task",
        "θ's top tokens describe the task although they are not in the output.",
        "shown as token lists for GPT-J and LLaMA 13B; no number is given",
        ours,
        verdict,
        "Only the second half is computed: a projection is apart from the output where at most "
        f"{FEW_IN_OUTPUTS:.0%} of its top tokens are also answers that the model gave; apart in "
        "≥ 0.80 of the projections holds, ≥ 0.50 weakly. Whether tokens name a task is for the "
        "reader.",
    )

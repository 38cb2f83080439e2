from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.report.cluster import one_cluster_a_task, similar_tasks_are_near
from icl_vectors.report.conflict import answers_follow_theta
from icl_vectors.report.section import FAILS, HOLDS, UNTESTED, WEAKLY
from icl_vectors.report.statistics import TaskMean, task_means
from icl_vectors.report.sweep import (
    intermediate_layer,
    most_tasks_gain,
    theta_beats_baseline,
    theta_carries_the_task,
)
from icl_vectors.report.together import same_depth
from icl_vectors.report.vocabulary import theta_is_not_the_output
from icl_vectors.runs.reading import read_run
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import TOO_FEW, Cluster, Conflict, Vocabulary
from tests.report import folders
from tests.report.parts import claims_of, task_result


def tasks(
    hits: tuple[int, int, int], count: int = 6, copying: int = 0, peaks: Sequence[int] = (9,)
) -> list[TaskMean]:
    entries = [
        folders.task_entry(
            f"task{i}", "user", hits=hits, copies=i < copying, peak=peaks[i % len(peaks)]
        )
        for i in range(count)
    ]
    return task_means([task_result(entry) for entry in entries])


def run_of(peaks: Sequence[int], fingerprint: str) -> Run:
    entries = [folders.task_entry(f"task{i}", "user", peak=peaks[i % len(peaks)]) for i in range(9)]
    results = tuple(task_result(entry) for entry in entries)
    return Run("m", "float32", 18, {"model": {"fingerprint": fingerprint}}, {}, results)


@pytest.mark.parametrize(
    ("hits", "verdict"),
    [((5, 40, 50), HOLDS), ((5, 39, 50), WEAKLY), ((5, 25, 50), WEAKLY), ((5, 24, 50), FAILS)],
)
def test_theta_carries_the_task(hits: tuple[int, int, int], verdict: str) -> None:
    assert theta_carries_the_task(tasks(hits)).verdict == verdict


def test_a_model_that_does_not_learn_in_context_tests_nothing() -> None:
    assert theta_carries_the_task(tasks((20, 20, 20))).verdict == UNTESTED
    assert theta_carries_the_task(tasks((0, 0, 0))).verdict == UNTESTED
    assert theta_carries_the_task(tasks((0, 40, 40), count=2)).verdict == UNTESTED


def test_copying_the_dummies_is_never_a_success() -> None:
    copying = tasks((5, 45, 45), copying=6)
    assert theta_carries_the_task(copying).verdict == FAILS
    assert theta_beats_baseline(copying).verdict == FAILS
    assert most_tasks_gain(copying).verdict == FAILS
    assert theta_carries_the_task(tasks((5, 45, 45), copying=2)).verdict == WEAKLY


def test_where_too_few_prompts_tell_on_most_tasks_nothing_is_tested() -> None:
    entry = folders.task_entry("task", "user", hits=(5, 45, 45), n=50)
    unsure = {**entry, "fails": [f"{TOO_FEW} it from the baseline"]}
    claims: list[Any] = [theta_carries_the_task, theta_beats_baseline, most_tasks_gain]
    claims.append(partial(intermediate_layer, n_layers=18))
    for unsure_ones, verdicts in ((3, {WEAKLY, HOLDS}), (4, {UNTESTED}), (6, {UNTESTED})):
        entries = [{**(unsure if i < unsure_ones else entry), "task": f"t{i}"} for i in range(6)]
        found = [claim(task_means(list(map(task_result, entries)))) for claim in claims]
        assert {one.verdict for one in found} == verdicts
        assert unsure_ones == 3 or f"tell on {unsure_ones} of 6 tasks" in found[0].ours


def test_theta_beats_the_baseline() -> None:
    assert theta_beats_baseline(tasks((5, 40, 45))).verdict == HOLDS
    assert theta_beats_baseline(tasks((40, 5, 45))).verdict == FAILS
    mixed = [*tasks((0, 30, 45), count=1), *tasks((10, 9, 45), count=4)]
    assert theta_beats_baseline(mixed).verdict == WEAKLY


def test_most_tasks_gain_counts_intervals_that_lie_apart() -> None:
    assert most_tasks_gain(tasks((5, 40, 45))).verdict == HOLDS
    half = [*tasks((5, 40, 45), count=3), *tasks((5, 6, 45), count=3)]
    assert most_tasks_gain(half).verdict == WEAKLY
    assert most_tasks_gain(tasks((5, 9, 45))).verdict == FAILS


@pytest.mark.parametrize(("peaks", "verdict"), [((8, 9, 9), HOLDS), ((0,), FAILS), ((17,), FAILS)])
def test_an_intermediate_layer(peaks: Sequence[int], verdict: str) -> None:
    assert intermediate_layer(tasks((5, 40, 45), peaks=peaks), 18).verdict == verdict


def test_blocks_in_the_middle_alone_say_nothing_of_the_middle() -> None:
    swept = tasks((5, 40, 45))
    for one in swept:
        one.curve = (*[None] * 6, *one.curve[6:12], *[None] * 6)
    assert intermediate_layer(swept, 18).verdict == UNTESTED
    assert intermediate_layer([], 18).verdict == UNTESTED


@pytest.mark.parametrize(
    ("silhouette", "verdict"),
    [(0.26, HOLDS), (0.25, WEAKLY), (0.01, WEAKLY), (0.0, FAILS), (-0.2, FAILS)],
)
def test_one_cluster_a_task(silhouette: float, verdict: str) -> None:
    cluster = Cluster.model_validate({**folders.cluster(), "silhouette": silhouette})
    assert one_cluster_a_task(cluster).verdict == verdict


def test_similar_tasks_are_near() -> None:
    whole = folders.cluster()
    found = similar_tasks_are_near(Cluster.model_validate(whole))
    assert (found.verdict, found.ours) == (HOLDS, "6 of 6 pairs")
    astray = {**whole["nearest"], "fr_en": "antonyms", "en_fr": "antonyms"}
    found = similar_tasks_are_near(Cluster.model_validate({**whole, "nearest": astray}))
    assert (found.verdict, found.ours) == (WEAKLY, "4 of 6 pairs")
    two = {"fr_en": "es_en", "es_en": "fr_en"}
    assert (
        similar_tasks_are_near(Cluster.model_validate({**whole, "nearest": two})).verdict
        == UNTESTED
    )


def test_answers_follow_theta() -> None:
    clear = Conflict.model_validate(folders.conflict_entry("x", "y", injected=(2, 40)))
    leaning = Conflict.model_validate(folders.conflict_entry("x", "y", injected=(20, 24)))
    against = Conflict.model_validate(folders.conflict_entry("x", "y", injected=(40, 2)))
    assert answers_follow_theta([clear] * 3 + [against]).verdict == HOLDS
    assert answers_follow_theta([clear, leaning, against]).verdict == WEAKLY
    assert answers_follow_theta([clear, against]).verdict == FAILS
    assert answers_follow_theta([]).verdict == UNTESTED


def test_theta_is_not_the_output() -> None:
    entry = folders.vocabulary_entry("fr_en", ["a"] * 10)
    apart = Vocabulary.model_validate({**entry, "in_outputs": 0.1})
    inside = apart.model_copy(update={"in_outputs": 0.2})
    uncounted = apart.model_copy(update={"in_outputs": None})
    assert theta_is_not_the_output([apart] * 4 + [inside]).verdict == HOLDS
    assert theta_is_not_the_output([apart, inside, uncounted]).verdict == WEAKLY
    assert theta_is_not_the_output([inside]).verdict == FAILS
    assert theta_is_not_the_output([uncounted]).verdict == UNTESTED
    of_few, of_enough = (apart.model_copy(update={"n": n}) for n in (19, 20))
    assert theta_is_not_the_output([of_few]).verdict == UNTESTED
    assert theta_is_not_the_output([of_few, of_enough]).verdict == HOLDS


def test_the_same_depth_needs_two_models() -> None:
    assert same_depth([run_of((9,), "a"), run_of((9,), "b")]).verdict == HOLDS
    assert same_depth([run_of((9,), "a"), run_of((10,), "b")]).verdict == WEAKLY
    assert same_depth([run_of((3,), "a"), run_of((15,), "b")]).verdict == FAILS
    assert same_depth([run_of((9,), "a"), run_of((9,), "a")]).verdict == UNTESTED


def test_each_claim_states_its_rule_and_the_papers_figure(folder: Path) -> None:
    claims = claims_of(read_run(folder))
    assert len(claims) == 8
    assert all(claim.rule and claim.paper and claim.ours for claim in claims)
    nothing = claims_of(Run("m", "float32", 0, {}, {}))
    assert {claim.verdict for claim in nothing} == {UNTESTED}

import numpy
import pytest

from icl_vectors.report.statistics import (
    Interval,
    mean_curve,
    mean_interval,
    ratio_interval,
    task_means,
)
from icl_vectors.scoring import wilson
from tests.report.folders import task_entry
from tests.report.parts import task_result


def test_the_bootstrap_of_equal_values_has_no_width() -> None:
    assert mean_interval([0.5] * 6) == Interval(0.5, 0.5, 0.5)


def test_the_bootstrap_of_many_values_is_near_the_normal_interval() -> None:
    values = numpy.random.default_rng(0).normal(0.4, 0.2, 400)
    found = mean_interval(values.tolist())
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.004)
    assert found.high == pytest.approx(values.mean() + half, abs=0.004)


def test_two_tasks_give_no_interval() -> None:
    found = mean_interval([0.2, 0.4])
    assert (found.low, found.high) == (None, None)
    assert str(mean_interval([0.2, 0.4])) == "0.30"


def test_a_ratio_is_that_of_the_means_and_needs_a_denominator() -> None:
    found = ratio_interval([0.4, 0.8, 0.0], [0.5, 1.0, 0.1])
    assert found is not None
    assert found.value == pytest.approx(1.2 / 1.6)
    assert found.low is not None and found.low < found.value
    assert ratio_interval([0.1, 0.1, 0.1], [0.0, 0.0, 0.0]) is None


def test_seeds_are_averaged_and_their_deviation_is_that_of_the_sample() -> None:
    entries = [
        task_entry("fr_en", "translation", hits=(0, 30, 40), seed=41, peak=8),
        task_entry("fr_en", "translation", hits=(0, 40, 40), seed=42, peak=10),
    ]
    (task,) = task_means([task_result(entry) for entry in entries])
    assert task.hypothesis.value == pytest.approx(0.7)
    assert task.hypothesis.sd == pytest.approx(0.2 / 2**0.5)
    assert (task.hypothesis.low, task.hypothesis.high) == pytest.approx(wilson(70, 100))
    assert (task.best_layers, task.n_test, task.seeds) == ((8, 10), 100, (41, 42))


def test_one_seed_keeps_its_own_interval_and_has_no_deviation() -> None:
    (task,) = task_means([task_result(task_entry("fr_en", "translation", hits=(0, 30, 40)))])
    assert task.hypothesis.sd is None
    assert (task.hypothesis.low, task.hypothesis.high) == wilson(30, 50)


def test_the_mean_curve_peaks_at_the_lowest_of_equal_blocks() -> None:
    entries = []
    for number in range(4):
        entry = task_entry(f"task{number}", "user", n_layers=4, peak=1)
        entry["dev_accuracy_by_layer"] = [0.0, 0.8, 0.8, None]
        entries.append(task_result(entry))
    curve = mean_curve(task_means(entries), 4)
    assert curve is not None
    assert (curve.layers, curve.best_layer) == ((0, 1, 2), 1)
    assert curve.depth == Interval(0.5, 0.5, 0.5)
    assert curve.low == pytest.approx((0.0, 0.8, 0.8))

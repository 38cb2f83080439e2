import pytest
from scipy import stats

from icl_vectors.scoring import accuracy, entries_by_seed, mean, over_seeds, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (5, 10, 0.236593, 0.763407),
        (1, 50, 0.003539, 0.104954),
        (42, 50, 0.714858, 0.916626),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_intervals_have_the_known_values(hits: int, n: int, low: float, high: float) -> None:
    assert list(wilson(hits, n)) == pytest.approx([low, high], abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 7, 50, 1000])
def test_an_interval_holds_its_share_and_stays_within_0_and_1(n: int) -> None:
    for hits in range(n + 1):
        low, high = wilson(hits, n)
        assert 0 <= low <= hits / n <= high <= 1
        mirrored = wilson(n - hits, n)
        assert (1 - high, 1 - low) == pytest.approx(mirrored)


def test_more_answers_make_the_interval_narrower() -> None:
    widths = [high - low for low, high in (wilson(n // 2, n) for n in (10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_an_accuracy_is_the_share_of_right_answers() -> None:
    found = accuracy([True, False, True, True])
    assert (found.accuracy, found.n) == (0.75, 4)
    assert set(found.to_json()) == {"accuracy", "low", "high"}
    assert (found.low, found.high) == wilson(3, 4)


def test_no_answers_have_no_accuracy() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        accuracy([])


def test_the_mean_takes_any_iterable() -> None:
    assert mean(value for value in (0.0, 0.5, 1.0)) == 0.5


@pytest.mark.parametrize("n", [2, 3, 5, 31, 32, 60])
def test_the_interval_over_seeds_is_that_of_scipy(n: int) -> None:
    values = [0.5 + 0.01 * (seed * 7 % 5) for seed in range(n)]
    found = over_seeds(values)
    low, high = stats.t.interval(0.95, n - 1, loc=found.mean, scale=found.sd / n**0.5)
    cut = max(0.0, low), min(1.0, high)
    assert (found.low, found.high) == pytest.approx(cut, abs=1e-4)
    assert found.sd == pytest.approx(stats.tstd(values))


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two seeds or more"):
        over_seeds([0.5])


def test_a_task_that_lacks_a_seed_is_left_out_of_the_comparison_of_seeds() -> None:
    entries = [("a", 1, "a1"), ("b", 1, "b1"), ("a", 2, "a2")]
    assert entries_by_seed(entries) == {1: ["a1"], 2: ["a2"]}

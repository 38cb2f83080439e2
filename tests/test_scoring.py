import pytest

from icl_vectors.scoring import accuracy, mean, wilson


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

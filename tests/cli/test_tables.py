from typing import Any

from icl_vectors.experiments.summary import summary
from icl_vectors.experiments.sweep import Sweep
from icl_vectors.plain_text import spark_line
from icl_vectors.report.sweep.text import sweep_table


def cell(accuracy: float) -> dict[str, float]:
    return {"accuracy": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "task": "to_upper",
        "seed": 41,
        "baseline": cell(0.1),
        "hypothesis": cell(0.5),
        "regular": cell(0.8),
        "best_layer": 2,
        "n_test": 50,
        "n_distinct": 50,
        "dev_accuracy_by_layer": [0.0, None, 1.0],
        "copies_dummies": False,
        **changes,
    }


def table(*entries: dict[str, Any], recovered: float | None = 0.625) -> list[str]:
    summary = {"baseline": 0.1, "hypothesis": 0.5, "regular": 0.8, "recovered": recovered}
    data = {"model": "m", "dtype": "float32", "n_layers": 3, "tasks": entries, "summary": summary}
    return sweep_table(data).splitlines()


def test_accuracies_become_bars_and_what_was_not_swept_a_dot() -> None:
    assert spark_line([0.0, 0.1, 0.5, 0.99, 1.0, None]) == "▁▁▅██·"


def test_a_result_is_one_line() -> None:
    told = "to_upper baseline 0.10 hypothesis 0.50 regular 0.80 layer 2 ▁·█"
    assert Sweep.line(entry()).split() == told.split()
    assert "copies its dummies" in Sweep.line(entry(copies_dummies=True))


def test_the_table_holds_intervals_means_and_the_share_recovered() -> None:
    lines = table(entry())
    assert len(lines) == 4 and "0.50 [0.40, 0.60]" in lines[1]
    assert lines[2].split() == ["mean", "0.10", "0.50", "0.80"]
    assert lines[3].startswith("θ alone recovers 62% of regular in-context learning (m, float32, 3")
    assert not any("recovers" in line for line in table(entry(), recovered=None))
    assert table(entry(n_distinct=26))[-1].startswith("* fewer distinct queries than n")
    assert table(entry(copies_dummies=True))[-1].startswith("! with θ the model repeats a dummy")
    copying = entry(task="to_lower", copies_dummies=True)
    assert "learning, 31% with tasks marked ! as 0 (m," in table(entry(), copying)[4]
    assert table(entry(), entry(seed=42))[2].startswith("to_upper seed 42 ")
    assert "seed" not in lines[1]


def test_no_share_of_in_context_learning_where_demonstrations_add_nothing() -> None:
    summary = {"baseline": 0.03, "hypothesis": 0.02, "regular": 0.002, "recovered": 10.0}
    about = {"model": "m", "dtype": "float32", "n_layers": 3, "tasks": [entry()]}
    lines = sweep_table({**about, "summary": summary}).splitlines()
    assert not any("recovers" in line for line in lines)
    assert "Regular is not above the baseline: on these prompts demonstrations add" in lines[3]


def test_seeds_have_their_mean_deviation_and_interval_in_one_line() -> None:
    entries = [entry(seed=seed, hypothesis=cell(hits)) for seed, hits in ((1, 0.4), (2, 0.6))]
    found = {"model": "m", "dtype": "float32", "n_layers": 3, "tasks": entries}
    lines = sweep_table({**found, "summary": summary(entries)}).splitlines()
    assert (
        "over 2 seeds: baseline 0.10 ± 0.00 [0.10, 0.10], hypothesis 0.50 ± 0.14 [0.00, 1.00], "
        "regular 0.80 ± 0.00 [0.80, 0.80]"
    ) in lines

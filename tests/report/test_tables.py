from pathlib import Path

from icl_vectors.report.statistics import task_means
from icl_vectors.report.sweep.tables import seeds_table, tasks_table
from icl_vectors.report.table import Table
from icl_vectors.runs.reading import read_run
from tests.report.folders import task_entry
from tests.report.parts import tables_of, task_result


def tables(folder: Path) -> dict[str, Table]:
    return {table.name: table for table in tables_of(read_run(folder))}


def texts(table: Table, row: int) -> list[str]:
    return [cell.text for cell in table.rows[row]]


def test_conflicts_stand_beside_the_papers(folder: Path) -> None:
    assert texts(tables(folder)["conflicts"], 0) == [
        "next_letter → to_upper", "9", "50", "0.90 [0.79, 0.96]", "0.02 [0.00, 0.10]",
        "0.04 [0.01, 0.13]", "0.80 [0.67, 0.89]", "clearly", "0.91", "0.00", "0.10", "0.77",
    ]  # fmt: skip
    assert tables(folder)["conflicts"].rows[4][7].text == "no"


def test_categories_stand_beside_the_papers(folder: Path) -> None:
    table = tables(folder)["categories"]
    assert texts(table, 1)[:2] == ["translation", "4"]
    assert texts(table, 1)[-3:] == ["0.13", "0.61", "0.76"]
    assert texts(table, 4)[:2] == ["all", "18"]


def test_the_papers_models_are_marked_as_the_papers(folder: Path) -> None:
    rows = tables(folder)["models"].rows
    assert rows[0][0].text == "gemma-3-270m (float32)"
    assert len(rows) == 8
    assert all(row[0].text.startswith("paper: ") for row in rows[1:])


def test_nearest_tasks_say_whether_they_are_mutual(folder: Path) -> None:
    rows = {row[0].text: [cell.text for cell in row] for row in tables(folder)["clusters"].rows}
    assert rows["fr_en"] == ["fr_en", "es_en", "yes", "es_en"]
    assert rows["person_language"] == ["person_language", "country_capital", "no", "–"]


def test_vocabulary_shows_what_theta_adds(folder: Path) -> None:
    row = texts(tables(folder)["vocabulary"], 0)
    assert row[2] == "Paris (20.0), ␣Madrid (10.0), 首都 (6.7), Hauptstadt (5.0)"
    assert row[4].startswith("Paris (+10.0), ␣Madrid (+5.0)")
    assert row[5] == "0 of 4"
    assert "LLaMA 13B: Paris, Madrid" in row[6]


def test_flags_say_what_must_be_known_of_a_task() -> None:
    entry = task_entry("list_first", "algorithmic", copies=True)
    results = [task_result({**entry, "n_echo": 8, "n_distinct": 24})]
    (row,) = tasks_table(task_means(results)).rows
    assert row[-1].text == (
        "copies its dummies: no success; 24 distinct queries; 8 answers begin like the query"
    )
    assert row[-1].mark == "bad"


def test_several_seeds_show_their_deviation() -> None:
    entries = [task_entry("fr_en", "translation", hits=(0, h, 40), seed=h) for h in (30, 40)]
    table = tasks_table(task_means([task_result(entry) for entry in entries]))
    assert table.rows[0][3].text.startswith("0.70 ± 0.14 [")
    assert "2 seeds" in table.note


def test_what_fails_with_some_seeds_names_them() -> None:
    entries = [task_entry("fr_en", "translation", seed=seed) for seed in (41, 42, 43)]
    entries[1]["fails"] = ["no better than the baseline", "copies its dummies"]
    entries[2]["fails"] = ["copies its dummies"]
    (task,) = task_means([*map(task_result, entries)])
    assert task.reasons == (
        "no better than the baseline (seed 42); copies its dummies (seeds 42, 43)"
    )
    assert [*task.fails] == ["no better than the baseline", "copies its dummies"]
    assert tasks_table([task]).rows[0][-1].text.startswith(f"{task.reasons}: no success")


def test_seeds_stand_side_by_side_with_their_interval() -> None:
    entries = [task_entry("fr_en", "translation", hits=(0, h, 40), seed=h) for h in (30, 40)]
    results = [task_result(entry) for entry in entries]
    table = seeds_table(results)
    assert table is not None
    shown = [[cell.text for cell in row] for row in table.rows]
    assert shown[:2] == [["30", "0.00", "0.60", "0.80"], ["40", "0.00", "0.80", "0.80"]]
    assert shown[2] == [
        "all", "0.00 ± 0.00 [0.00, 0.00]", "0.70 ± 0.14 [0.00, 1.00]", "0.80 ± 0.00 [0.80, 0.80]"
    ]  # fmt: skip
    assert seeds_table(results[:1]) is None

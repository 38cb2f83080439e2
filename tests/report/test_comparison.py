import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from icl_vectors.report.compare import methods_beat_their_controls, one_vector_fails_on_bijections
from icl_vectors.report.compare.figures import comparison_drawings
from icl_vectors.report.compare.tables import comparison_tables
from icl_vectors.report.drawing import render
from icl_vectors.report.examples import examples_table
from icl_vectors.report.provenance import summary_line
from icl_vectors.report.section import FAILS, HOLDS, UNTESTED, WEAKLY
from icl_vectors.report.table import to_markdown
from icl_vectors.report.write import write_report
from icl_vectors.runs.reading import read_comparison, read_run
from icl_vectors.runs.run import Comparison
from tests.report.compared import compared
from tests.report.folders import results, write_folder
from tests.report.parts import tables_of

LEARNED = {"regular": (45, 44, 46), "zero-shot": (2, 0, 3)}
BOTH = ("bijection",) * 3


def found(hits: Mapping[str, tuple[int, ...]], **more: Any) -> Comparison:
    return read(compared(hits, **more))


def read(data: Mapping[str, Any]) -> Comparison:
    missing: list[str] = []
    comparison = read_comparison(data, missing)
    assert comparison is not None and not missing
    return comparison


@pytest.fixture
def comparison() -> Comparison:
    return found({**LEARNED, "state": (40, 38, 41), "icv": (5, 4, 9)}, categories=("user",) * 3)


def table(comparison: Comparison, name: str) -> str:
    return next(to_markdown(one) for one in comparison_tables(comparison) if one.name == name)


def test_methods_stand_with_means_distances_and_costs(comparison: Comparison) -> None:
    lines = table(comparison, "methods_compared").splitlines()
    state = next(line for line in lines if line.startswith("| state "))
    cells = [cell.strip() for cell in state.strip("|").split("|")]
    assert cells[1].startswith("0.79 ")  # (40 + 38 + 41) / 150
    assert cells[2].startswith("0.88 ")  # 119 / 135
    assert cells[3:8] == ["-1.50", "2.00", "0.40", "0.90", "all"]
    assert cells[8:] == ["3000", "9000", "6.0", "0"]
    assert "3 tasks, 150 test prompts" in lines[-1]


def test_controls_stand_beside_their_method() -> None:
    lost = found({**LEARNED, "state": (40, 38, 41)}, categories=("user",) * 3, beats=False)
    text = table(lost, "controls")
    assert "0.06; 90 : 4; p \\< .001" in text
    assert "0.50; 10 : 12; p = 0.800" in text
    of_controls = next(one for one in comparison_tables(lost) if one.name == "controls")
    assert [cell.mark for cell in of_controls.rows[0][2:]] == ["none", *["good"] * 4, "bad"]


def test_conditions_are_columns(comparison: Comparison) -> None:
    shots = next(one for one in comparison_tables(comparison) if one.name == "shots")
    assert [column.title for column in shots.columns] == ["method", "0", "1", "4"]
    by_method = {row[0].text: [cell.text[:4] for cell in row[1:]] for row in shots.rows}
    assert by_method == {"regular": ["0.00", "0.20", "0.80"], "state": ["–", "0.20", "0.80"]}
    assert "| method | its own | = | : |" in table(comparison, "arrows")
    assert "| task1 | user | 0.88 " in table(comparison, "tasks_of_methods")


def test_every_figure_is_drawn_and_told(tmp_path: Path, comparison: Comparison) -> None:
    data = results() | compared({**LEARNED, "state": (40, 38, 41)}, ("user",) * 3)
    run = read_run(write_folder(tmp_path / "run", data))
    pictures = [render(drawing) for drawing in comparison_drawings(run)]
    assert [one.name for one in pictures] == ["methods_compared", "shots", "arrows"]
    for one in pictures:
        assert "state" in one.svg and "state" in one.alternative
    page = write_report([tmp_path / "run"]).read_text("utf-8")
    assert "Kinds of task vectors" in page and "one θ fails on bijections" in page


def test_a_comparison_alone_shows_its_own_claims_and_answers(tmp_path: Path) -> None:
    data = compared({**LEARNED, "state": (40, 38, 41)}, ("user",) * 3)
    alone = {key: results()[key] for key in ("schema", "model", "dtype", "n_layers")} | data
    folder = write_folder(tmp_path / "run", results())
    (folder / "results.json").write_text(json.dumps(alone))
    for name in ("cluster.csv", "records.jsonl"):
        (folder / name).unlink()
    prompt = {"id": "a", "task": "task0", "split": "test", "query": "hot", "answers": ["cold"]}
    about = {"id": "a", "task": "task0", "prediction": "cold", "correct": True}
    samples = [
        about | {"method": name} for name in ("regular", "zero-shot", "state", "state:random")
    ]
    (folder / "prompts.jsonl").write_text(json.dumps(prompt) + "\n")
    (folder / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))
    run = read_run(folder)
    assert run.is_apart
    line = "gemma-3-270m (float32), kinds of task vectors on 3 task(s): regular 0.90"
    assert summary_line(run).startswith(line)
    tables = {one.name: to_markdown(one) for one in tables_of(run)}
    assert "methods beat their controls" in tables["claims"]
    assert "θ carries the task" not in tables["claims"]
    shown = to_markdown(examples_table(run.examples))
    assert "| task | query | expected | regular | zero-shot | state |" in shown


@pytest.mark.parametrize(
    ("state", "verdict"), [((20, 15, 22), HOLDS), ((45, 44, 45), WEAKLY), ((46, 46, 46), FAILS)]
)
def test_one_theta_on_bijections(state: tuple[int, ...], verdict: str) -> None:
    claim = one_vector_fails_on_bijections(found({**LEARNED, "state": state}, categories=BOTH))
    assert claim.verdict == verdict
    assert "3 bijection tasks" in claim.ours


def test_bijections_that_are_not_learned_tell_nothing() -> None:
    hits = {"regular": (4, 44, 46), "zero-shot": (2, 0, 3), "state": (1, 2, 3)}
    claim = one_vector_fails_on_bijections(found(hits, categories=BOTH))
    assert (claim.verdict, claim.ours) == (
        UNTESTED,
        "2 of 3 bijection tasks are shown to be learned in context",
    )
    one_way = found({**LEARNED, "state": (1, 2, 3)}, categories=("user",) * 3)
    assert one_vector_fails_on_bijections(one_way).verdict == UNTESTED


def test_methods_and_their_controls_are_one_claim(comparison: Comparison) -> None:
    assert methods_beat_their_controls(comparison).verdict == HOLDS
    lost = found({**LEARNED, "state": (40, 38, 41)}, categories=("user",) * 3, beats=False)
    claim = methods_beat_their_controls(lost)
    assert (claim.verdict, claim.ours) == (FAILS, "beat all: none; do not: state")
    assert methods_beat_their_controls(found(LEARNED, categories=BOTH)).verdict == UNTESTED


def test_a_damaged_entry_is_named_and_left_out() -> None:
    data = compared({**LEARNED, "state": (40, 38, 41)}, ("user",) * 3)
    data["compare"][0]["accuracy"] = 7
    data["compare_summary"] = "none"
    missing: list[str] = []
    comparison = read_comparison(data, missing)
    assert comparison is not None
    assert len(comparison.entries) == len(data["compare"]) - 1
    assert (
        len(missing) == 2
        and "accuracy: Input should be less than or equal to 1, found '7'" in missing[0]
    )
    assert read_comparison({}, missing) is None


def test_a_method_without_entries_is_named_and_left_out() -> None:
    data = compared({**LEARNED, "state": (40, 38, 41)}, ("user",) * 3)
    data["compare"] = [one for one in data["compare"] if one["method"] != "zero-shot"]
    missing: list[str] = []
    comparison = read_comparison(data, missing)
    assert comparison is not None and missing == ["compare: zero-shot has no entry"]
    assert "zero-shot |" not in table(comparison, "methods_compared")


def test_methods_of_which_nothing_can_be_told_are_named() -> None:
    hits = {**LEARNED, "state": (40, 38, 41), "icv": (1, 0, 2)}
    data = compared(hits, ("user",) * 3)
    next(one for one in data["compare_summary"] if one["method"] == "icv")["beats_controls"] = None
    comparison = read_comparison(data, [])
    assert comparison is not None
    ours = methods_beat_their_controls(comparison).ours
    assert ours == "beat all: state; do not: none; too few prompts to tell: icv"


def test_what_is_fitted_stands_between_the_extracted_and_regular() -> None:
    hits = {**LEARNED, "state-mean": (30, 30, 33), "learned": (38, 35, 41)}
    data = compared(hits, categories=("user",) * 3)
    assert not any(one.name == "gap" for one in comparison_tables(read(data)))
    beside = {"accuracy": 0.62, "n": 150, "won": 30, "lost": 9, "p": 0.0011}
    data["compare_summary"][-1]["beside"] = {"state-mean": beside}
    [row] = [line for line in table(read(data), "gap").splitlines() if "| learned" in line]
    assert "| state-mean | +0.14 \\[+0.10, +0.16\\] | 30 : 9; p = 0.001 |" in row
    assert "| +0.14 \\[+0.10, +0.18\\] | 1 : 20; p \\< .001 |" in row
    data["compare"][0]["begin_alike"] = True  # a task that tells nothing is left out
    assert "| state-mean | +0.13 | 30 : 9;" in table(read(data), "gap")

"""`shots` beside the sweep that it is made of, and where it appears by being there."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.discovery import experiment_names
from icl_vectors.experiments.shots import ShotsResult
from icl_vectors.report.section import FAILS, HOLDS, UNTESTED, WEAKLY
from icl_vectors.report.shots import theta_needs_fewer
from icl_vectors.report.write import write_report
from icl_vectors.runs.files import read_lines
from tests.experiments.conftest import Finished
from tests.report.folders import share

SMALL: dict[str, Any] = {"dev": 3, "test": 4}
TASKS = "to_upper,list_first"


def test_at_each_number_it_is_the_sweep_with_so_many_shots(llama: icl.Model) -> None:
    found = icl.shots(llama, TASKS, shots="0,3", **SMALL)
    by_unit = {(one["task"], one["shots"]): one for one in found.data["shots"]}
    assert list(by_unit) == [(t, n) for t in TASKS.split(",") for n in (0, 3)]
    for n in (0, 3):
        for entry in icl.sweep(llama, TASKS, shots=n, **SMALL).data["tasks"]:
            own = by_unit[entry["task"], n]
            for key in ("baseline", "hypothesis", "regular", "best_layer"):
                assert own[key] == entry[key], (entry["task"], n, key)
    frame = found.to_pandas()
    assert len(frame) == 2 * 2 * 3 and set(frame["shots"]) == {0, 3}
    assert "shots of" in repr(found) and "hypothesis" in str(found)


@pytest.mark.usefixtures("drawn_once")
def test_it_appears_in_the_report_by_being_there(finished: Finished, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished("shots"), tmp_path / "run"))
    page = write_report([folder]).read_text("utf-8")
    assert "Against the number of demonstrations" in page
    assert "θ needs fewer demonstrations" in page and "θ carries the task" not in page
    assert (folder / "figures" / "shots_of_theta.svg").is_file()
    assert "shots" in experiment_names() and "shots" in dir(icl)
    asked = {line["id"] for line in read_lines(folder / "prompts.jsonl")}
    assert {line["id"] for line in read_lines(folder / "samples.jsonl")} == asked


def entries(fewest_theta: int, fewest_regular: int, tasks: int = 4) -> list[ShotsResult]:
    """Tasks whose methods are good from some number of demonstrations on."""
    found = []
    for task in range(tasks):
        for n in (1, 2, 4, 8):
            hits = {
                "baseline": 1,
                "hypothesis": 40 if n >= fewest_theta else 10,
                "regular": 45 if n >= fewest_regular else 10,
            }
            entry = {method: share(count) for method, count in hits.items()}
            about = {"task": f"task{task}", "category": "user", "seed": 41, "best_layer": 3}
            found.append(ShotsResult.model_validate({**about, "shots": n, "n": 50, **entry}))
    return found


def test_the_claim_goes_by_the_fewest_demonstrations() -> None:
    assert theta_needs_fewer(entries(2, 4)).verdict == HOLDS
    assert theta_needs_fewer(entries(4, 4)).verdict == FAILS
    mixed = [*entries(2, 4, tasks=1), *(one for one in entries(4, 4) if one.task != "task0")]
    assert theta_needs_fewer(mixed).verdict == WEAKLY
    assert theta_needs_fewer(entries(2, 4, tasks=2)).verdict == UNTESTED

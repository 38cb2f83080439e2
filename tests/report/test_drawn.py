import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from icl_vectors.report import drawn, write_report
from icl_vectors.report.drawing import Drawing, Picture, render
from icl_vectors.report.drawn import list_drawn, pictures_of
from icl_vectors.report.figures import figures_of
from icl_vectors.report.read import read_run

N_FIGURES = 9


@pytest.fixture
def newly(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the figures that are really drawn."""
    names: list[str] = []

    def noted(drawing: Drawing) -> Picture:
        names.append(drawing.name)
        return render(drawing)

    monkeypatch.setattr(drawn, "render", noted)
    yield names


def test_a_run_that_has_not_changed_is_not_drawn_again(folder: Path, newly: list[str]) -> None:
    page = write_report([folder]).read_bytes()
    assert len(newly) == N_FIGURES
    kept = {path: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert write_report([folder]).read_bytes() == page
    assert len(newly) == N_FIGURES
    assert kept == {path: path.read_bytes() for path in (folder / "figures").iterdir()}


def test_when_a_run_was_made_does_not_matter(folder: Path, newly: list[str]) -> None:
    write_report([folder])
    about = json.loads((folder / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps(about | {"finished": "2001-01-01T00:00:00Z"}))
    write_report([folder])
    assert len(newly) == N_FIGURES


def test_new_data_are_drawn(folder: Path, newly: list[str]) -> None:
    write_report([folder])
    results = json.loads((folder / "results.json").read_text("utf-8"))
    results["conflict"][0]["n"] += 1
    (folder / "results.json").write_text(json.dumps(results))
    write_report([folder])
    assert len(newly) == 2 * N_FIGURES


def test_other_code_draws_anew(
    folder: Path, newly: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report([folder])
    monkeypatch.setattr(drawn, "_code", lambda: ("another version",))
    write_report([folder])
    assert len(newly) == 2 * N_FIGURES


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_figure_that_was_changed_or_removed_is_drawn(
    folder: Path, newly: list[str], ending: str
) -> None:
    write_report([folder])
    changed, removed = (folder / "figures" / f"{name}.{ending}" for name in newly[:2])
    before = changed.read_bytes(), removed.read_bytes()
    changed.write_bytes(b"\xff" + changed.read_bytes()[1:])
    removed.unlink()
    write_report([folder])
    assert newly[N_FIGURES:] == newly[:2]
    assert (changed.read_bytes(), removed.read_bytes()) == before


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b'{"of": 1}', b'{"sha256": 3}'])
def test_a_damaged_list_is_no_hindrance(folder: Path, newly: list[str], content: bytes) -> None:
    write_report([folder])
    (folder / ".drawn.json").write_bytes(content)
    write_report([folder])
    assert len(newly) == 2 * N_FIGURES


def test_captions_are_those_of_today(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = read_run(folder)
    write_report([folder])
    today = [replace(one, caption="Other words.") for one in figures_of(run)]
    monkeypatch.setattr(drawn, "figures_of", lambda _: today)
    found = pictures_of(run, folder)
    assert {one.caption for one in found} == {"Other words."}
    list_drawn(run, found, folder)
    assert pictures_of(run, folder) == found

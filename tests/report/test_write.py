import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.report.write import write_report
from tests.report import folders

FIGURES = {
    "conflicts", "distances", "distances_of_tasks", "layers_by_task", "layers_mean", "map_pca",
    "map_tsne", "methods_by_task", "silhouette_by_layer",
}  # fmt: skip
TABLES = {
    "categories", "claims", "clusters", "conflicts", "examples", "models", "tasks", "vocabulary",
}  # fmt: skip


def sweep_alone(folder: Path) -> None:
    data = folders.results()
    for key in ("conflict", "cluster", "vocabulary", "of_a_later_version"):
        del data[key]
    (folder / "results.json").write_text(json.dumps(data), "utf-8")


def names(folder: Path, ending: str) -> set[str]:
    return {path.stem for path in folder.glob(f"*.{ending}")}


def test_every_figure_and_table_is_written_in_both_forms_the_same_in_a_copied_folder(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "deeper" / "another-name"
    shutil.copytree(folder, copy)
    first, second = write_report([folder]), write_report([copy])
    assert first == folder / "report.html"
    assert first.read_bytes() == second.read_bytes()
    for path in sorted((folder / "figures").iterdir()):
        assert path.read_bytes() == (copy / "figures" / path.name).read_bytes()
    for place, endings, expected in (
        ("figures", ("svg", "png"), FIGURES),
        ("tables", ("md", "tex"), TABLES),
    ):
        for ending in endings:
            assert names(folder / place, ending) == expected


@pytest.mark.usefixtures("drawn_once")
def test_two_runs_are_compared_on_one_page(folder: Path, other_folder: Path) -> None:
    page = write_report([folder, other_folder], folder.parent / "both.html").read_text("utf-8")
    assert "Is it the same depth?" in page
    assert "org/larger-model (float32)" in page
    assert (folder / "figures" / "layers_of_runs.svg").is_file()
    assert names(other_folder / "figures", "png") == FIGURES


@pytest.mark.usefixtures("drawn_once")
def test_a_folder_of_runs_stands_for_its_runs(folder: Path, other_folder: Path) -> None:
    path = write_report([folder.parent])
    assert path == folder.parent / "report.html"
    assert "All runs together" in path.read_text("utf-8")


@pytest.mark.usefixtures("drawn_once")
def test_runs_of_one_model_and_dtype_are_numbered(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "again")
    page = write_report([folder, tmp_path / "again"]).read_text("utf-8")
    assert "gemma-3-270m (float32) #1" in page
    assert "gemma-3-270m (float32) #2" in page
    assert "(one model)" in page


@pytest.mark.usefixtures("drawn_once")
def test_a_sweep_alone_gives_a_report_that_names_the_rest(folder: Path) -> None:
    sweep_alone(folder)
    page = write_report([folder]).read_text("utf-8")
    for experiment in ("conflict", "cluster", "vocabulary"):
        assert f"<li>{experiment}: not in this folder</li>" in page
    assert page.count("could not be tested") >= 4


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IclVectorsError, match=r"expected the folder of a run.*run\.json"):
        write_report([tmp_path])
    with pytest.raises(IclVectorsError, match="no such folder"):
        write_report([tmp_path / "nowhere"])
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_an_error_of_the_user(folder: Path) -> None:
    with pytest.raises(IclVectorsError, match="cannot be written"):
        write_report([folder], folder / "run.json" / "report.html")


def test_no_model_library_and_no_pyplot_is_loaded(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from icl_vectors.report.write import write_report; "
        "assert 'matplotlib' not in sys.modules; write_report([Path(sys.argv[1])]); "
        "print(*[name for name in ('torch', 'transformers', 'nnsight', 'matplotlib.pyplot') "
        "if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert (found.stdout, found.stderr) == ("\n", "")


@pytest.mark.parametrize("backend", ["no_such_backend", "module://gone", "TkAgg"])
def test_figures_need_no_display_and_leave_the_backend_to_the_user(
    backend: str, folder: Path
) -> None:
    code = (
        "import os, sys; from pathlib import Path; "
        "from icl_vectors.report.write import write_report; "
        "write_report([Path(sys.argv[1])]); import matplotlib; "
        "print(matplotlib.rcParams._get('backend'), os.environ['MPLBACKEND'], sep='|')"
    )
    sweep_alone(folder)
    environment = {**os.environ, "MPLBACKEND": backend}
    environment.pop("DISPLAY", None)
    found = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    held, asked = found.stdout.strip().split("|")
    assert asked == backend
    assert held.lower() == backend.lower() or backend == "no_such_backend"
    assert names(folder / "figures", "png") == {"layers_by_task", "layers_mean", "methods_by_task"}


@pytest.mark.usefixtures("drawn_once")
def test_a_page_of_very_many_runs_leaves_their_figures_in_their_folders(
    folder: Path, other_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_report([folder, other_folder]).read_text("utf-8")
    for module in ("write", "page"):
        monkeypatch.setattr(f"icl_vectors.report.{module}.MOST_SHOWN", 1)
    small = write_report([folder, other_folder]).read_text("utf-8")
    remark = "would be too large to open"
    assert remark in small and remark not in whole
    assert (small.count("<svg"), whole.count("<svg")) == (1, 1 + 2 * len(FIGURES))
    assert "Is it the same depth?" in small and small.count("Claim by claim") > 1
    assert names(other_folder / "figures", "png") == FIGURES

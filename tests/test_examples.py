import runpy
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import icl_vectors as icl

EXAMPLES = Path(__file__).resolve().parents[1] / "experiments" / "examples"
NOTEBOOK = EXAMPLES.parents[1] / "docs" / "tutorial.ipynb"

pytestmark = pytest.mark.embedded
opened = cache(icl.load_model)


def run(name: str, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [name, *map(str, arguments)])
        patch.setattr(icl, "load_model", opened)  # once, not once an example
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_every_example_is_run_here() -> None:
    assert sorted(file.name for file in EXAMPLES.iterdir() if file.is_file()) == [
        "own_csv.py",
        "own_method.py",
        "share_a_vector.py",
        "slides.py",
    ]


def test_the_slides_example_gives_colours_and_capitals(capsys: pytest.CaptureFixture[str]) -> None:
    out = run("slides.py", capsys)
    assert "block 10: Corn, Banana, Blood → Blue, Orange, Red" in out
    assert out.endswith("Spain → Madrid\nGermany → Berlin\nGreece → Athens\n")


def test_a_csv_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own = tmp_path / "letters.csv"
    own.write_text(
        "input,output\n" + "".join(f"{c},{c.upper()}\n" for c in "abcdefghijkl"), "utf-8"
    )
    for arguments in ([], [own]):
        lines = run("own_csv.py", capsys, *arguments).splitlines()
        assert [line.split()[1] for line in lines[1:]] == ["baseline", "hypothesis", "regular"]
    assert lines[1].split()[0] == "letters"


def test_a_shared_vector_is_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = run("share_a_vector.py", capsys, tmp_path / "shared")
    assert out.startswith("---\nlibrary_name: icl_vectors")
    assert out.endswith("['walking', 'singing', 'writing']\n")
    assert len(list((tmp_path / "shared").iterdir())) == 2


def test_a_method_of_ones_own_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    out = run("own_method.py", capsys)
    for method in ("regular", "zero-shot", "state", "first-dummy", "first-dummy:random"):
        assert f" {method} " in out


def test_the_tutorial_runs_and_its_stored_answers_are_those_of_today(tmp_path: Path) -> None:
    """docs/tutorial.ipynb, every cell, in a kernel of its own."""
    read: Any = nbformat.read  # it has no types
    stored, run = read(NOTEBOOK, as_version=4), read(NOTEBOOK, as_version=4)
    NotebookClient(run, timeout=600, kernel_name="python3").execute(cwd=tmp_path)
    kinds = [{*map(kind, cell.get("outputs", []))} for cell in run.cells]
    assert kinds == [{*map(kind, cell.get("outputs", []))} for cell in stored.cells]
    assert "stderr" not in set().union(*kinds)  # nothing warns
    by_layer = next(cell for cell in run.cells if cell.source.startswith("frame = icl.apply_by"))
    assert by_layer.outputs[0]["data"]["text/plain"].count("Madrid") == 3


def kind(output: Any) -> str:
    """What an output is: a stream by name, or the forms that it has."""
    return output.get("name") or " ".join(sorted(output["data"]))

"""Every experiment as a command: what it prints and writes, and that it is not run twice."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from icl_vectors.runs.folder import read_json, read_records
from tests.cli.conftest import Command
from tests.experiments.compare import files_without_times
from tests.listener import never
from tests.tiny import save_tiny

SESSIONS = ("task.run_task", "experiments.run_many_thetas", "experiments.run_conflict",
            "experiments.run_projection")  # fmt: skip
DRAWN = ("report.html",)  # it shows how long the run took


def stems(folder: Path, ending: str) -> set[str]:
    return {file.stem for file in folder.glob(f"*.{ending}")}


class Expected(NamedTuple):
    """Options of a command; how the lines of stdout read, what is drawn, what is in results."""

    options: str
    lines: list[str]
    figures: str
    keys: str


RUNS = {
    "sweep": Expected(
        "--tasks list_first,to_upper --dev 4 --test 5",
        ["task baseline hypothesis regular .*", "list_first .*", "to_upper .*", "mean .*"],
        "layers_by_task",
        "tasks summary",
    ),
    "compare": Expected(
        "--tasks to_upper,list_first --dev 2 --test 3 --controls random --methods state,function "
        "--arrows '->' --shots-curve 0,2",
        ["method accuracy .*", "regular .*", "zero-shot .*", "state .*", "function .*"],
        "methods_compared shots arrows",
        "compare compare_summary compare_arrows compare_shots",
    ),
    "conflict": Expected(
        "--pairs next_letter:to_upper --dev 3 --test 4",
        [".*", r"next_letter → to_upper(.*\[){4}[^[]*"],
        "conflicts",
        "conflict tasks",
    ),
    "cluster": Expected(
        "--tasks to_upper,list_first --per-task 4 --layer -3 --by-layer",
        [
            r"silhouette .* \(cosine\) at block 1, 4 θ per task.*",
            "mean cosine distance within a task .*",
            r"to_upper nearest list_first \(mutual\)",
        ],
        "map_tsne map_pca silhouette_by_layer",
        "cluster",
    ),
    "vocabulary": Expected(
        "--tasks to_upper --dev 3 --test 3 --layer -2 --top 5 --raw",
        ["to_upper .*block 2 .*"],
        "",
        "vocabulary tasks",
    ),
    "reproduce": Expected(
        "--tasks next_letter,to_upper,list_last,list_first --dev 3 --test 3",
        [],
        "layers_by_task map_tsne conflicts",
        "tasks summary cluster conflict vocabulary",
    ),
}


def compared(folder: Path, out: str) -> None:
    assert (folder / "heads.json").is_file()
    assert out.count(": zero-shot 0.00 (") == 2
    assert "\n2 tasks, 6 test prompts in all.\n" in out


def clustered(folder: Path, out: str) -> None:
    assert len((folder / "cluster.csv").read_text("utf-8").splitlines()) == 1 + 2 * 4


def reproduced(folder: Path, out: str) -> None:
    pairs = [(pair["a"], pair["b"]) for pair in read_json(folder / "results.json")["conflict"]]
    assert pairs == [("next_letter", "to_upper"), ("list_last", "list_first")]
    finished = [record for record in read_records(folder) if record["event"] == "done"]
    assert len(finished) == 4 + 4 + 2 + 4
    assert {"samples.jsonl", "cluster.csv"} <= {file.name for file in folder.iterdir()}
    assert len(stems(folder / "vectors", "safetensors")) == 4 <= len(stems(folder / "tables", "md"))


OWN = {"compare": compared, "cluster": clustered, "reproduce": reproduced}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_shown_and_kept(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    expected, folder = RUNS[name], Path(f"runs/tiny-llama-float32-{name}")
    line = f"{name} {expected.options}"
    code, out, err = command.tiny(line)
    assert code == 0, err
    shown = [" ".join(one.split()) for one in out.splitlines()]
    for pattern, one in zip(expected.lines, shown, strict=False):
        assert re.fullmatch(pattern, one), one
    assert all(one.isprintable() for one in shown) and not {"\x1b", "\r"} & {*out, *err}
    assert shown[-1] == f"The run's folder: {folder}"
    assert len(err.splitlines()) >= 2 and err.startswith("Loading ")
    assert name != "conflict" or "to choose the layer on dev" in err
    for place, endings in {"figures": ("svg", "png"), "tables": ("md", "tex")}.items():
        assert stems(folder / place, endings[0]) == stems(folder / place, endings[1]) != set()
    assert stems(folder / "figures", "svg") >= {*expected.figures.split()}
    page = (folder / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<svg") >= len(stems(folder / "figures", "svg"))
    assert isinstance(read_json(folder / "run.json")["argv"], list)
    before = files_without_times(folder, DRAWN)
    for session in SESSIONS:
        monkeypatch.setattr(f"icl_vectors.graph.{session}", never)
    again = command.tiny(line if name == "vocabulary" else f"{line} --batch-size 3")
    assert (again.code, again.out) == (0, out) and " were finished before." in again.err
    document = command.document(line)
    assert document.pop("folder") == str(folder)
    assert document == json.loads((folder / "results.json").read_text("utf-8"))
    assert {*expected.keys.split()} <= {key for key, value in document.items() if value}
    assert command("report", folder, "-o", "page.html")[:2] == (0, "page.html\n")
    assert Path("page.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    if name in OWN:
        OWN[name](folder, out)
    assert files_without_times(folder, DRAWN) == before


def test_two_models_have_two_folders_and_one_report(command: Command) -> None:
    save_tiny(Path("other"), "gpt2")
    asked = "reproduce --model other --tasks to_upper,list_first --dev 2 --test 2 -o all"
    code, out, err = command.tiny(asked)
    assert code == 0, err
    for folder in ("all/tiny-llama-float32", "all/other-float32"):
        assert f"The run's folder: {folder}" in out
        results = read_json(Path(folder, "results.json"))
        assert {"tasks", "cluster", "vocabulary"} <= set(results)
        assert Path(folder, "report.html").is_file()
    assert "Report: all/report.html" in err
    page = Path("all/report.html").read_text("utf-8")
    assert "tiny-llama" in page and "other" in page
    for step in ("1/3 sweep", "2/3 cluster", "3/3 vocabulary"):
        assert err.splitlines().count(step) == 2

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_sweep import one_document

SMALL = ["--tasks", "to_upper,list_first", "--per-task", 4]
BAD = {
    "a layer out of range": (["--layer", "4"], "within 0 to 3 (the model has 4 blocks"),
    "a layer below the first": (["--layer", "-5"], "within 0 to 3 (the model has 4 blocks"),
    "a layer that is none": (["--layer", "middle"], "expected best, or a whole number"),
    "one task": (["--tasks", "to_upper"], "cluster: expected two tasks or more, found one."),
    "an unknown task": (["--tasks", "to_uper,to_lower"], "Did you mean to_upper"),
    "no theta": (["--per-task", "0"], "--per-task 0: expected 2 or more."),
    "one theta a task": (["--per-task", "1"], "--per-task 1: expected 2 or more."),
    "a number that is none": (["--per-task", "many"], "See `icl-vectors cluster --help`"),
    "more shots than pairs": (["--shots", "30"], "to_upper has 26; lower --shots"),
    "a folder of something else": (["-o", "full"], "found thesis.txt and no run.json"),
}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_vectors.cli.experiments.draw", lambda folder, quiet: None)


@pytest.mark.usefixtures("undrawn")
def test_a_map_ends_with_silhouette_distances_and_nearest_tasks(
    command: Command, place: Path, llama_folder: Path
) -> None:
    code, out, err = command("cluster", "--model", llama_folder, *SMALL, "--layer", "-3")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("silhouette ") and "(cosine) at block 1, 4 θ per task" in lines[0]
    assert lines[1].startswith("mean cosine distance within a task ")
    assert lines[2].split() == ["to_upper", "nearest", "list_first", "(mutual)"]
    assert lines[-1] == "The run's folder: runs/tiny-llama-float32-cluster"
    table = place / "runs" / "tiny-llama-float32-cluster" / "cluster.csv"
    assert len(table.read_text("utf-8").splitlines()) == 1 + 2 * 4


def test_json_is_the_only_thing_on_stdout_and_the_map_is_drawn(
    command: Command, place: Path, llama_folder: Path
) -> None:
    options = ["--by-layer", "--dev", 3, "--test", 3, "--json", "-o", "run"]
    outcome = command("cluster", "--model", llama_folder, *SMALL, *options)
    assert outcome.err == ""
    document = one_document(outcome)
    assert document.pop("folder") == "run"
    assert document == json.loads((place / "run" / "results.json").read_text("utf-8"))
    assert list(document["cluster"]["silhouette_by_layer"]) == ["0", "1", "2", "3"]
    assert (place / "run" / "report.html").is_file()
    assert len(list((place / "run" / "figures").glob("*.svg"))) >= 3


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_short_message_and_exit_2(
    command: Command, place: Path, llama_folder: Path, name: str
) -> None:
    (place / "full").mkdir()
    (place / "full" / "thesis.txt").write_text("mine", "utf-8")
    arguments, message = BAD[name]
    layer = [] if "--layer" in arguments else ["--layer", 1]
    small = SMALL[2:] if "--tasks" in arguments else SMALL
    given = [*small, *layer, *arguments, "--quiet"]
    code, out, err = command("cluster", "--model", llama_folder, *given)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ") and len(err.splitlines()) <= 6
    files = [file.name for file in place.rglob("*") if file.is_file()]
    assert [name for name in files if name != ".lock"] == ["thesis.txt"]

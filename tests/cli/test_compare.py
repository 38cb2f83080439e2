import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_sweep import one_document

SMALL = ["--tasks", "to_upper,list_first", "--dev", 2, "--test", 3, "--controls", "random"]
BAD = {
    "an unknown method": (["--methods", "sate"], "Did you mean state"),
    "no method": (["--methods", ","], "expected names of methods, or all, found none"),
    "an unknown control": (["--controls", "ramdom"], "Did you mean random"),
    "no demonstrations": (["--shots", "0"], "--shots 0: expected 1 or more"),
    "the template's own arrow": (["--arrows", "→"], "expected arrows other than that"),
    "shots that are none": (["--shots-curve", "1,many"], "expected numbers of demonstrations"),
    "too many shots": (["--shots-curve", "30"], "to_upper has 26; lower --shots"),
    "heads that are not there": (["--heads", "none.json"], "heads.json of a comparison"),
    "heads of something else": (["--heads", "full/thesis.txt"], "heads.json of a comparison"),
    "a layer out of range": (["--layers", "4"], "the model has 4 blocks"),
    "an unknown task": (["--tasks", "letter_case_bot"], "Did you mean letter_case_both"),
}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_vectors.cli.experiments.draw", lambda folder, quiet: None)


def test_a_comparison_prints_means_and_verdicts_and_draws(
    command: Command, place: Path, llama_folder: Path
) -> None:
    options = ["--methods", "state,function", "--arrows", "->", "--shots-curve", "0,2"]
    code, out, err = command("compare", "--model", llama_folder, *SMALL, *options)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["method", "accuracy"]
    assert [line.split()[0] for line in lines[1:5]] == ["regular", "zero-shot", "state", "function"]
    assert sum(": zero-shot 0.00 (" in line for line in lines) == 2
    assert "2 tasks, 6 test prompts in all." in lines
    folder = place / "runs" / "tiny-llama-float32-compare"
    assert lines[-1] == f"The run's folder: {folder.relative_to(place)}"
    assert {"heads.json", "report.html"} <= {file.name for file in folder.iterdir()}
    drawn = {file.stem for file in (folder / "figures").iterdir()}
    assert drawn == {"methods_compared", "shots", "arrows"}
    again = command("compare", "--model", llama_folder, *SMALL, *options)
    assert "All " in again.err and again.out == out


@pytest.mark.usefixtures("undrawn")
def test_json_is_the_only_thing_on_stdout(
    command: Command, place: Path, llama_folder: Path
) -> None:
    options = ["--methods", "icv", "--controls", "none", "--json", "-o", "run"]
    outcome = command("compare", "--model", llama_folder, *SMALL, *options)
    assert outcome.err == ""
    document = one_document(outcome)
    assert [one["method"] for one in document["compare"]][:3] == ["regular", "zero-shot", "icv"]
    assert json.loads((place / "run" / "results.json").read_text())["compare"]


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_comparison_is_one_line(
    command: Command, place: Path, llama_folder: Path, name: str
) -> None:
    (place / "full").mkdir()
    (place / "full" / "thesis.txt").write_text("mine")
    options, told = BAD[name]
    code, out, err = command("compare", "--model", llama_folder, *SMALL, *options, "--quiet")
    assert (code, out) == (2, "")
    assert told in err and "Traceback" not in err and len(err.splitlines()) == 1
    assert [file.name for file in place.iterdir()] == ["full"]


def test_plan_tells_what_each_method_costs(command: Command, llama_folder: Path) -> None:
    asked = ["--tasks", "to_upper", "--dev", 2, "--test", 3, "--methods", "state,multi"]
    code, out, _ = command("plan", "--model", llama_folder, *asked)
    assert code == 0
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert int(lines["state"][1].replace(",", "")) < int(lines["multi"][1].replace(",", ""))
    assert "icl-vectors compare --model" in out and "--methods state,multi" in out
    seeds = command("plan", "--model", llama_folder, *asked, "--seeds", "1,2")
    assert (seeds.code, "a comparison has one seed" in seeds.err) == (2, True)


def test_vectors_of_a_method_are_extracted_and_applied(
    command: Command, place: Path, llama_folder: Path
) -> None:
    made = ["extract", "--model", llama_folder, "--task", "to_upper", "--quiet", "-o", "v.st"]
    code, out, err = command(*made, "--method", "function", "--prompts", 3)
    assert code == 0, err
    assert "heads " in out
    told = command("apply", "v.st", "--info").out
    assert "method          function" in told
    assert len(command("apply", "v.st", "a", "b", "--quiet").out.splitlines()) == 2
    refused = command(*made, "--method", "multi")
    assert refused.code == 2 and "few-shot prompts" in refused.err
    refused = command(*made, "--method", "function")
    assert refused.code == 2 and "expected a task and 2 prompts or more" in refused.err

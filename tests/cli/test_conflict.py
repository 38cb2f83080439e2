import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_sweep import one_document
from tests.experiments.compare import files_without_times

SMALL = ["--pairs", "next_letter:to_upper", "--dev", 3, "--test", 4]
BAD = {
    "a pair of one task": (["--pairs", "to_upper:to_upper"], "expected two different tasks"),
    "no pair": (["--pairs", "to_upper"], "--pairs 'to_upper': expected A:B, two tasks."),
    "nothing": (["--pairs", ","], "--pairs: expected A:B,…, found none."),
    "an unknown task": (["--pairs", "to_upper:next_leter"], "Did you mean next_letter"),
    "a category": (["--pairs", "algorithmic:to_upper"], "unknown task 'algorithmic'"),
    "no common inputs": (["--pairs", "country_capital:to_upper"], "found 0 in common"),
    "no test prompts": (["--test", "0"], "--test 0: expected 1 or more."),
    "no dummies": (["--dummies", "0"], "--dummies 0: expected 1 or more."),
    "more shots than pairs": (["--shots", "30"], "found fewer: next_letter has 25"),
    "an unknown model": (["--model", "./none"], "expected a Hugging Face id, a folder"),
    "a batch that is no number": (["--batch-size", "big"], "expected auto, or 1 or more"),
}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures: they are the matter of other tests, and slow."""
    monkeypatch.setattr("icl_vectors.cli.experiments.draw", lambda folder, quiet: None)


def test_a_conflict_ends_with_a_table_its_folder_and_a_report(
    command: Command, place: Path, llama_folder: Path
) -> None:
    code, out, err = command("conflict", "--model", llama_folder, *SMALL)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[1].startswith("next_letter → to_upper")
    assert lines[1].count("[") == 4, "an interval in every cell"
    assert lines[-1] == "The run's folder: runs/tiny-llama-float32-conflict"
    assert "to choose the layer on dev" in err
    assert "\x1b" not in out + err and "\r" not in err
    folder = place / "runs" / "tiny-llama-float32-conflict"
    assert (folder / "report.html").is_file()
    assert list((folder / "figures").glob("*.svg")) and list((folder / "tables").glob("*.md"))


@pytest.mark.usefixtures("undrawn")
def test_json_is_the_only_thing_on_stdout_and_the_same_again_changes_nothing(
    command: Command, place: Path, llama_folder: Path
) -> None:
    arguments = ["conflict", "--model", llama_folder, *SMALL, "--json", "-o", "run"]
    document = one_document(command(*arguments))
    assert document.pop("folder") == "run"
    assert document == json.loads((place / "run" / "results.json").read_text("utf-8"))
    assert [(pair["a"], pair["b"], pair["n"]) for pair in document["conflict"]] == [
        ("next_letter", "to_upper", 4)
    ]
    before = files_without_times(place / "run")
    outcome = command(*arguments)
    assert outcome.err == ""
    assert one_document(outcome)["conflict"] == document["conflict"]
    assert files_without_times(place / "run") == before


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_short_message_and_exit_2_and_nothing_is_written(
    command: Command, place: Path, llama_folder: Path, name: str
) -> None:
    arguments, message = BAD[name]
    model = [] if "--model" in arguments else ["--model", llama_folder]
    pairs = [] if "--pairs" in arguments else SMALL[:2]
    code, out, err = command("conflict", *model, *pairs, *arguments, "--quiet")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ") and len(err.splitlines()) <= 6
    assert list(place.iterdir()) == []


def test_help_shows_an_example(command: Command) -> None:
    for name in ("conflict", "cluster", "vocabulary", "reproduce"):
        code, out, _ = command(name, "--help")
        assert code == 0 and f"icl-vectors {name} " in out.split("Example:")[1]

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_sweep import one_document

SMALL = ["--tasks", "to_upper", "--dev", 3, "--test", 3]
BAD = {
    "a layer out of range": (["--layer", "4"], "within 0 to 3 (the model has 4 blocks"),
    "a layer that is none": (["--layer", "best"], "See `icl-vectors vocabulary --help`"),
    "no tokens": (["--top", "0"], "--top 0: expected 1 or more."),
    "no dev prompts": (["--dev", "0"], "--dev 0: expected 1 or more."),
    "an unknown task": (["--tasks", "to_uper"], "Did you mean to_upper"),
    "an unknown dtype": (["--dtype", "float23"], "Did you mean float32"),
}


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_vectors.cli.experiments.draw", lambda folder, quiet: None)


@pytest.mark.usefixtures("undrawn")
def test_a_vocabulary_ends_with_the_first_tokens_of_each_theta(
    command: Command, llama_folder: Path
) -> None:
    options = [*SMALL, "--layer", -2, "--top", 5, "--raw"]
    code, out, err = command("vocabulary", "--model", llama_folder, *options)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("to_upper ") and " block  2 " in lines[0]
    assert lines[-1] == "The run's folder: runs/tiny-llama-float32-vocabulary"
    assert all(character.isprintable() for character in lines[0])


@pytest.mark.usefixtures("undrawn")
def test_json_is_the_only_thing_on_stdout(
    command: Command, place: Path, llama_folder: Path
) -> None:
    arguments = ["vocabulary", "--model", llama_folder, *SMALL, "--top", 4, "--json", "-o", "run"]
    outcome = command(*arguments)
    document = one_document(outcome)
    assert outcome.err == "" and document.pop("folder") == "run"
    assert document == json.loads((place / "run" / "results.json").read_text("utf-8"))
    assert all(len(one["tokens"]) == 4 for one in document["vocabulary"])
    assert one_document(command(*arguments))["vocabulary"] == document["vocabulary"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_short_message_and_exit_2_and_nothing_is_written(
    command: Command, place: Path, llama_folder: Path, name: str
) -> None:
    arguments, message = BAD[name]
    code, out, err = command("vocabulary", "--model", llama_folder, *SMALL, *arguments, "--quiet")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ") and len(err.splitlines()) <= 6
    assert list(place.iterdir()) == []

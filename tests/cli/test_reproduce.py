import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from icl_vectors.cli.main import run
from icl_vectors.runs.folder import read_records
from tests.cli.conftest import Command
from tests.cli.test_sweep import one_document
from tests.experiments.compare import files_without_times
from tests.tiny import bytes_tokenizer, random_model, save_model

TASKS = "next_letter,to_upper,list_last,list_first"
SMALL = ["--tasks", TASKS, "--dev", 3, "--test", 3]
DRAWN = ("report.html",)  # it shows how long the run took
BAD = {
    "an unknown task": (["--tasks", "to_uper"], "Did you mean to_upper"),
    "negative shots": (["--shots", "-1"], "--shots -1: expected 0 or more."),
    "more shots than pairs": (["--shots", "30"], "lower --shots or --dummies"),
    "no test prompts": (["--test", "0"], "--test 0: expected 1 or more."),
    "a template without {output}": (["--template", "{input}→"], "expected {output} exactly once"),
    "an unknown model": (["--model", "./none"], "expected a Hugging Face id, a folder"),
    "an unknown option": (["--layer", "3"], "No such option"),
}


class Reproduced(NamedTuple):
    """A finished run, and the arguments that made it."""

    folder: Path
    arguments: list[str]


@pytest.fixture(scope="module")
def reproduced(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reproduced:
    folder = tmp_path_factory.mktemp("reproduced") / "run"
    given = ["reproduce", "--model", llama_folder, *SMALL, "--json", "-o", folder]
    arguments = [str(one) for one in given]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TOKENIZERS_PARALLELISM", "TRANSFORMERS_VERBOSITY"):
            patch.setenv(name, "")  # a command sets them; put back after
        assert run(arguments) == 0
    return Reproduced(folder, arguments)


def test_one_folder_holds_results_figures_tables_and_the_report(reproduced: Reproduced) -> None:
    folder = reproduced.folder
    results = json.loads((folder / "results.json").read_text("utf-8"))
    assert {"tasks", "summary", "cluster", "conflict", "vocabulary"} <= set(results)
    assert [(pair["a"], pair["b"]) for pair in results["conflict"]] == [
        ("next_letter", "to_upper"),
        ("list_last", "list_first"),
    ]
    for name in ("run.json", "records.jsonl", "prompts.jsonl", "samples.jsonl", "cluster.csv"):
        assert (folder / name).is_file()
    assert len(list((folder / "vectors").glob("*.safetensors"))) == 4
    figures = {file.stem for file in (folder / "figures").glob("*.svg")}
    assert len(figures) >= 6
    assert figures == {file.stem for file in (folder / "figures").glob("*.png")}
    tables = {file.stem for file in (folder / "tables").glob("*.md")}
    assert len(tables) >= 4
    assert tables == {file.stem for file in (folder / "tables").glob("*.tex")}
    page = (folder / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<svg") >= len(figures)


def test_the_same_command_again_runs_nothing_and_leaves_the_results_as_they_are(
    command: Command, reproduced: Reproduced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: Any, **options: Any) -> None:
        raise AssertionError("the model ran")

    for place in (
        "graph.task.run_task",
        "graph.experiments.run_many_thetas",
        "graph.experiments.run_conflict",
        "graph.experiments.run_projection",
    ):
        monkeypatch.setattr(f"icl_vectors.{place}", never)
    folder = reproduced.folder
    before, bytes_before = files_without_times(folder, DRAWN), _bytes(folder)
    document = one_document(command(*reproduced.arguments))
    assert document.pop("folder") == str(folder)
    assert _bytes(folder) == bytes_before
    assert document == json.loads(bytes_before)
    assert files_without_times(folder, DRAWN) == before
    finished = [record for record in read_records(folder) if record["event"] == "done"]
    assert len(finished) == 4 + 4 + 2 + 4


def _bytes(folder: Path) -> bytes:
    return (folder / "results.json").read_bytes()


def test_two_models_have_two_folders_and_one_report(
    command: Command, place: Path, llama_folder: Path
) -> None:
    save_model(place / "other", random_model("gpt2"), bytes_tokenizer())
    models = ["--model", llama_folder, "--model", "other"]
    tasks = ["--tasks", "to_upper,list_first", "--dev", 2, "--test", 2]
    code, out, err = command("reproduce", *models, *tasks, "-o", "all")
    assert code == 0, err
    folders = ["all/tiny-llama-float32", "all/other-float32"]
    for folder in folders:
        assert f"The run's folder: {folder}" in out
        assert {"tasks", "cluster", "vocabulary"} <= set(
            json.loads((place / folder / "results.json").read_text("utf-8"))
        )
        assert (place / folder / "report.html").is_file()
    assert "Report: all/report.html" in err
    page = (place / "all" / "report.html").read_text("utf-8")
    assert "tiny-llama" in page and "other" in page
    for step in ("1/3 sweep", "2/3 cluster", "3/3 vocabulary"):
        assert err.splitlines().count(step) == 2


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_a_short_message_and_exit_2_and_nothing_is_written(
    command: Command, place: Path, llama_folder: Path, name: str
) -> None:
    arguments, message = BAD[name]
    model = [] if "--model" in arguments else ["--model", llama_folder]
    code, out, err = command("reproduce", *model, *SMALL, *arguments, "--quiet")
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ") and len(err.splitlines()) <= 6
    assert list(place.iterdir()) == []

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from icl_vectors.graph.task import run_task
from icl_vectors.runs.files import read_lines
from icl_vectors.tasks.task import load_task
from tests.cli.conftest import Command, Outcome
from tests.experiments.compare import files_without_times
from tests.tiny import N_LAYERS, bytes_tokenizer, random_model, save_model

SMALL = ["--dev", 4, "--test", 5, "--tasks", "list_first,to_upper"]


def one_document(outcome: Outcome) -> Any:
    assert outcome.code == 0, outcome.err
    document, end = json.JSONDecoder().raw_decode(outcome.out)
    assert outcome.out[end:] == "\n"
    return document


def test_a_sweep_ends_with_a_table_and_the_folders_path(
    command: Command, place: Path, llama_folder: Path
) -> None:
    code, out, err = command("sweep", "--model", llama_folder, *SMALL)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["task", "baseline", "hypothesis", "regular"]
    assert [line.split()[0] for line in lines[1:4]] == ["list_first", "to_upper", "mean"]
    assert lines[-1] == "The run's folder: runs/tiny-llama-float32-sweep"
    assert len(err.splitlines()) >= 3, "a line for each task as it ends"
    assert "\x1b" not in out + err and "\r" not in err
    folder = place / "runs" / "tiny-llama-float32-sweep"
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    assert names >= {"run.json", "records.jsonl", "prompts.jsonl", "samples.jsonl", "results.json"}
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert isinstance(run["argv"], list)


def test_json_is_the_only_thing_on_stdout(
    command: Command, place: Path, llama_folder: Path
) -> None:
    outcome = command("sweep", "--model", llama_folder, *SMALL, "--json", "-o", "run")
    document = one_document(outcome)
    assert document.pop("folder") == "run"
    assert document == json.loads((place / "run" / "results.json").read_text("utf-8"))
    assert len(document["tasks"][0]["dev_accuracy_by_layer"]) == N_LAYERS


def test_quiet_writes_nothing_to_stderr(command: Command, llama_folder: Path) -> None:
    outcome = command("sweep", "--model", llama_folder, *SMALL, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert "mean" in outcome.out


def test_the_same_command_again_runs_nothing_twice(
    command: Command, place: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["sweep", "--model", llama_folder, *SMALL, "-o", "run"]
    first = command(*arguments)
    times = ("report.html",)  # it shows how long the run took
    before = files_without_times(place / "run", skip=times)

    def never(*given: Any) -> None:
        raise AssertionError("the model ran")

    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    again = command(*arguments, "--batch-size", 3)
    assert again.code == 0 and again.out == first.out
    assert "All 2 were finished before." in again.err
    assert files_without_times(place / "run", skip=times) == before


def test_ctrl_c_keeps_what_was_finished(
    command: Command, place: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def interrupted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_task(*given)

    arguments = ["sweep", "--model", llama_folder, *SMALL, "-o", "run"]
    monkeypatch.setattr("icl_vectors.graph.task.run_task", interrupted)
    code, out, err = command(*arguments)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "error: interrupted; what was finished is kept."
    assert {line["task"] for line in read_lines(place / "run" / "samples.jsonl")} == {"list_first"}
    results = json.loads((place / "run" / "results.json").read_text("utf-8"))
    assert [entry["task"] for entry in results["tasks"]] == ["list_first"]
    assert command(*arguments).code == 0
    assert len(calls) == 3


def test_several_dtypes_and_models_have_folders_of_their_own(
    command: Command, place: Path, llama_folder: Path
) -> None:
    documents = one_document(
        command(
            *("sweep", "--model", llama_folder, "--dtype", "float32,bfloat16", *SMALL),
            *("-o", "all", "--json"),
        )
    )
    assert [document["dtype"] for document in documents] == ["float32", "bfloat16"]
    folders = ["all/tiny-llama-float32", "all/tiny-llama-bfloat16"]
    assert [document["folder"] for document in documents] == folders
    runs = [json.loads((place / f / "run.json").read_text("utf-8")) for f in folders]
    assert runs[0]["model"]["fingerprint"] == runs[1]["model"]["fingerprint"]
    prompts = [(place / folder / "prompts.jsonl").read_bytes() for folder in folders]
    assert prompts[0] == prompts[1]


def test_options_reach_the_experiment(command: Command, place: Path, llama_folder: Path) -> None:
    (place / "mine.csv").write_text(
        "input,output\n" + "".join(f"{i},{i + 1}\n" for i in range(9)), "utf-8"
    )
    document = one_document(
        command(
            *("sweep", "--model", llama_folder, "--task-file", "mine.csv", "--layers", "-2:"),
            *("--seeds", "1,2", "--shots", 3, "--dummies", 1, "--test", 3, "--dev", 2),
            *("--template", "paper", "--json"),
        )
    )
    assert [(entry["task"], entry["seed"]) for entry in document["tasks"]] == [
        ("mine", 1),
        ("mine", 2),
    ]
    assert document["tasks"][0]["dev_accuracy_by_layer"][:2] == [None, None]
    run = json.loads((place / document["folder"] / "run.json").read_text("utf-8"))
    assert run["template"] == "example:{input}->{output}"
    prompt = read_lines(place / document["folder"] / "prompts.jsonl")[0]
    assert (len(prompt["demonstrations"]), len(prompt["dummies"])) == (3, 1)


def test_a_task_that_fails_is_named_at_the_end_and_the_exit_is_1(
    command: Command, place: Path
) -> None:
    joining = bytes_tokenizer(joins="→Z")
    save_model(place / "model", random_model("llama"), joining)
    (place / "zs.json").write_text(json.dumps({letter: "Z" for letter in "abcdefghij"}), "utf-8")
    arguments = ["--tasks", "list_first", "--task-file", "zs.json", "--dev", 2, "--test", 2]
    code, out, err = command("sweep", "--model", "model", *arguments)
    assert code == 1
    assert "list_first" in out and "Traceback" not in err
    assert err.splitlines()[-1].startswith("not run: zs (seed 41): template")


def test_nan_is_one_line_and_exit_1(command: Command, place: Path) -> None:
    model = random_model("llama")
    model.get_parameter("model.layers.1.mlp.up_proj.weight").data[:] = torch.nan
    save_model(place / "model", model, bytes_tokenizer())
    code, out, err = command("sweep", "--model", "model", *SMALL, "--quiet")
    assert (code, out) == (1, "")
    assert err.startswith("error: list_first: the states of block 1 hold NaN or infinity")
    assert len(err.splitlines()) == 1


def test_a_full_disk_is_one_line_and_exit_1(
    command: Command, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, out, err = command("sweep", "--model", llama_folder, *SMALL, "--quiet")
    assert (code, out) == (1, "")
    line = r"error: the run could not go on: No space left on device \(.+run\.json\)\.\n"
    assert re.fullmatch(line, err)


def test_show_prompt_marks_the_arrows_and_runs_nothing(
    command: Command, place: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: Any, **options: Any) -> None:
        raise AssertionError("the model was opened")

    monkeypatch.setattr("icl_vectors.models.load.load_model", never)
    arguments = ["--tasks", "country_capital", "--show-prompt"]
    code, out, _ = command("sweep", "--model", llama_folder, *arguments)
    assert code == 0
    marked = [line for line in out.splitlines() if line.endswith("⟦→⟧")]
    assert len(marked) == 4, "the query, two dummies, and the query alone"
    assert marked[0].startswith("  [<s>] ")
    assert "accepted answers" in out
    assert any(repr(output[0]) in out for _, output in load_task("country_capital").pairs)
    assert list(place.iterdir()) == []


def test_whole_answers_have_a_table_of_their_own(command: Command, llama_folder: Path) -> None:
    arguments = ["--tasks", "to_upper,list_first", "--dev", 3, "--test", 3, "-o", "run"]
    outcome = command("sweep", "--model", llama_folder, *arguments, "--answer", "generate")
    assert outcome.code == 0, outcome.err
    table = outcome.out.split("whole answers", 1)[1].splitlines()
    assert [line.split()[0] for line in table[2:5]] == ["to_upper", "list_first", "mean"]
    assert all(len(line.split()) == 7 for line in table[2:5])
    page = Path("run/report.html").read_text("utf-8")
    assert "Whole answers are compared, exactly" in page
    plain = command("sweep", "--model", llama_folder, *arguments[:-1], "other", "--quiet")
    assert "whole answers" not in plain.out


def test_tasks_of_files_are_chosen_by_name_and_several_tasks_options_add_up(
    command: Command, place: Path, llama_folder: Path
) -> None:
    pairs = "".join(f"{letter},{letter.upper()}\n" for letter in "abcdefghij")
    (place / "words.csv").write_text(f"input,output\n{pairs}a,Z\n", "utf-8")
    options = ["--model", llama_folder, "--dev", 2, "--test", 2, "--json"]
    named = ["--task-file", "words.csv", "--tasks", "words,to_upper", "--tasks", "list_first"]
    outcome = command("sweep", *options, *named)
    document = one_document(outcome)
    assert [one["task"] for one in document["tasks"]] == ["words", "to_upper", "list_first"]
    notes = [line for line in outcome.err.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: task file words.csv: 1 input has several outputs; all are accepted, the first is "
        "demonstrated (such as 'a': line 2: 'A'; line 12: 'Z')."
    ]

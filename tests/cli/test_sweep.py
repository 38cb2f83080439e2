import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from icl_vectors.graph.task import run_task
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from icl_vectors.tasks.task import load_task
from tests.cli.conftest import Command
from tests.listener import never
from tests.tiny import bytes_tokenizer, random_model, save_model, save_tiny

SMALL = "sweep --dev 4 --test 5 --tasks list_first,to_upper"
LETTERS = "abcdefghij"


def test_ctrl_c_keeps_what_was_finished(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_task(*given)

    monkeypatch.setattr("icl_vectors.graph.task.run_task", interrupted)
    code, out, err = command.tiny(f"{SMALL} -o run")
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "error: interrupted; what was finished is kept."
    assert {line["task"] for line in read_lines(Path("run/samples.jsonl"))} == {"list_first"}
    tasks = read_json(Path("run/results.json"))["tasks"]
    assert [entry["task"] for entry in tasks] == ["list_first"]
    assert command.tiny(f"{SMALL} -o run").code == 0
    assert len(calls) == 3


def test_several_dtypes_have_folders_of_their_own(command: Command) -> None:
    documents = command.document(f"{SMALL} --dtype float32,bfloat16 -o all")
    assert [document["dtype"] for document in documents] == ["float32", "bfloat16"]
    folders = ["all/tiny-llama-float32", "all/tiny-llama-bfloat16"]
    assert [document["folder"] for document in documents] == folders
    runs = [read_json(Path(folder, "run.json")) for folder in folders]
    assert runs[0]["model"]["fingerprint"] == runs[1]["model"]["fingerprint"]
    prompts = [Path(folder, "prompts.jsonl").read_bytes() for folder in folders]
    assert prompts[0] == prompts[1]


def test_options_reach_the_experiment(command: Command) -> None:
    rows = "".join(f"{i},{i + 1}\n" for i in range(9))
    Path("mine.csv").write_text(f"input,output\n{rows}", "utf-8")
    document = command.document(
        "sweep --task-file mine.csv --layers -2: --seeds 1,2 --shots 3 --dummies 1 --test 3 "
        "--dev 2 --template paper"
    )
    units = [(entry["task"], entry["seed"]) for entry in document["tasks"]]
    assert units == [("mine", 1), ("mine", 2)]
    assert document["tasks"][0]["dev_accuracy_by_layer"][:2] == [None, None]
    folder = Path(document["folder"])
    assert read_json(folder / "run.json")["template"] == "example:{input}->{output}"
    prompt = read_lines(folder / "prompts.jsonl")[0]
    assert (len(prompt["demonstrations"]), len(prompt["dummies"])) == (3, 1)


def test_a_task_that_fails_is_named_at_the_end_and_the_exit_is_1(command: Command) -> None:
    save_tiny(Path("model"), joins="→Z")
    Path("zs.json").write_text(json.dumps(dict.fromkeys(LETTERS, "Z")), "utf-8")
    asked = "--tasks list_first --task-file zs.json --dev 2 --test 2"
    code, out, err = command(*f"sweep --model model {asked}".split())
    assert code == 1
    assert "list_first" in out and "Traceback" not in err
    assert err.splitlines()[-1].startswith("not run: zs (seed 41): template")


def test_nan_is_one_line_and_exit_1(command: Command) -> None:
    model = random_model("llama")
    model.get_parameter("model.layers.1.mlp.up_proj.weight").data[:] = torch.nan
    save_model(Path("model"), model, bytes_tokenizer())
    code, out, err = command(*f"{SMALL} --model model --quiet".split())
    assert (code, out) == (1, "")
    assert err.startswith("error: list_first: the states of block 1 hold NaN or infinity")
    assert len(err.splitlines()) == 1


def test_a_full_disk_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, out, err = command.tiny(f"{SMALL} --quiet")
    assert (code, out) == (1, "")
    line = r"error: the run could not go on: No space left on device \(.+run\.json\)\.\n"
    assert re.fullmatch(line, err)


def test_show_prompt_marks_the_arrows(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_vectors.models.load.load_model", never)
    code, out, _ = command.tiny("sweep --tasks country_capital --show-prompt")
    assert code == 0
    marked = [line for line in out.splitlines() if line.endswith("⟦→⟧")]
    assert len(marked) == 4, "the query, two dummies, and the query alone"
    assert marked[0].startswith("  [<s>] ")
    assert "accepted answers" in out
    assert any(repr(output[0]) in out for _, output in load_task("country_capital").pairs)
    assert list(command.place.iterdir()) == []


def test_whole_answers_have_a_table_of_their_own(command: Command) -> None:
    asked = "sweep --tasks to_upper,list_first --dev 3 --test 3"
    code, out, err = command.tiny(f"{asked} -o run --answer generate")
    assert code == 0, err
    table = out.split("whole answers", 1)[1].splitlines()
    assert [line.split()[0] for line in table[2:5]] == ["to_upper", "list_first", "mean"]
    assert all(len(line.split()) == 7 for line in table[2:5])
    assert "Whole answers are compared, exactly" in Path("run/report.html").read_text("utf-8")
    code, out, err = command.tiny(f"{asked} -o other --quiet")
    assert (code, err) == (0, "") and "mean" in out and "whole answers" not in out
    few = "sweep --tasks location_continent --dev 3 --test 3 -o few --answer labels"
    assert command.tiny(few).code == 0
    page = Path("few/report.html").read_text("utf-8")
    assert "The likeliest of each task's labels is compared" in page.replace("&#39;", "'")


def test_tasks_of_files_are_chosen_by_name_and_tasks_options_add_up(command: Command) -> None:
    pairs = "".join(f"{letter},{letter.upper()}\n" for letter in LETTERS)
    Path("words.csv").write_text(f"input,output\n{pairs}a,Z\n", "utf-8")
    named = "--task-file words.csv --tasks words,to_upper --tasks list_first"
    _, out, err = command.tiny(f"sweep --dev 2 --test 2 --json {named}")
    tasks = [one["task"] for one in json.loads(out)["tasks"]]
    assert tasks == ["words", "to_upper", "list_first"]
    assert [line for line in err.splitlines() if line.startswith("note: ")] == [
        "note: task file words.csv: 1 input has several outputs; all are accepted, the first is "
        "demonstrated (such as 'a': line 2: 'A'; line 12: 'Z')."
    ]

import json
from pathlib import Path

import pytest

from icl_vectors.tasks.task import known_tasks, list_tasks
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ICL_VECTORS_CACHE", str(folder))
    return folder


def test_embedded_models_are_listed_with_weights_and_terms(command: Command) -> None:
    code, out, err = command("models")
    assert (code, err) == (0, "")
    assert "gemma-3-270m: dequantised from 4-bit Q4_K_M; Gemma Terms of Use" in out
    assert "smollm2-135m: dequantised from 4-bit Q4_1" in out and "Apache-2.0" in out
    assert "converted copy" not in out


def test_a_converted_copy_is_shown_and_can_be_removed(command: Command, cache: Path) -> None:
    copy = cache / "gemma-3-270m"
    copy.mkdir(parents=True)
    (copy / "config.json").write_bytes(b" " * 1_000_000)
    (copy / "model.safetensors").write_bytes(b" " * 2_000_000)
    assert f"converted copy: {copy}  3 MB" in command("models").out
    listed = {one["name"]: one for one in json.loads(command("models", "--json").out)}
    assert listed["gemma-3-270m"]["bytes"] == 3_000_000
    assert listed["gemma-3-270m"]["folder"] == str(copy)
    assert listed["smollm2-135m"]["folder"] is None
    removed = command("models", "--remove", "gemma-3-270m").out
    assert removed == "removed gemma-3-270m: 3 MB freed.\n" and not copy.exists()
    assert command("models", "--remove", "gemma-3-270m").code == 2


def test_tasks_are_listed_with_category_and_size_and_shown_with_their_source(
    command: Command,
) -> None:
    code, out, err = command("tasks")
    assert (code, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines()] == list(known_tasks())
    assert all(" pairs  " in line for line in out.splitlines())
    code, out, _ = command("tasks", "country_capital")
    assert code == 0
    assert "\nsource: " in out and "\nlicence: " in out and "  France → Paris\n" in out
    listed = json.loads(command("tasks", "--json").out)
    assert [task["name"] for task in listed] == list(known_tasks())
    assert known_tasks()[:18] == list_tasks()
    shown = json.loads(command("tasks", "to_upper", "--json").out)
    assert shown["n_pairs"] == len(shown["pairs"]) == 26
    assert shown["pairs"][0] == {"input": "a", "output": ["A"]}


def test_what_was_read_of_a_file_is_shown(command: Command) -> None:
    Path("mine.csv").write_text('output,input\nred,sky\n"[""a"", ""b""]",two\nblue,sky\n', "utf-8")
    code, out, err = command("tasks", "--task-file", "mine.csv")
    assert code == 0 and err.startswith("note: task file mine.csv: 2 inputs have several outputs")
    lines = out.splitlines()
    assert lines[0] == "name: mine" and lines[-2:] == ["  sky → red | blue", "  two → a | b"]
    assert not any(line.startswith("source") for line in lines), "what is not known is left out"
    shown = json.loads(command("tasks", "--task-file", "mine.csv", "--json").out)
    assert [pair["output"] for pair in shown["pairs"]] == [["red", "blue"], ["a", "b"]]
    both = json.loads(command("tasks", "to_upper", "--task-file", "mine.csv", "--json").out)
    assert [one["name"] for one in both] == ["to_upper", "mine"]

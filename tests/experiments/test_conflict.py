import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import icl_vectors as icl
from icl_vectors.cli.main import run as run_command
from icl_vectors.experiments.conflict import shared_inputs
from icl_vectors.graph.experiments import run_conflict
from icl_vectors.models.load import Model
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from tests.experiments.conftest import Finished, run
from tests.listener import Listener, never
from tests.tiny import load_plain
from tests.twins import plain
from tests.twins.prompts import accepted_tokens, as_twin, dummy_ids, regular_ids


def conflict(model: Model, output: Path, **options: Any) -> list[dict[str, Any]]:
    return list(run("conflict", model, output, **options).data["conflict"])


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[Prompt]:
    """The prompts that a conflict encodes."""
    seen: list[Prompt] = []

    def spy(tokenizer: Any, template: Any, prompt: Prompt, limit: int) -> Any:
        if ":" in prompt.id:  # not of the sweep that runs first
            seen.append(prompt)
        return encode_prompt(tokenizer, template, prompt, limit)

    monkeypatch.setattr("icl_vectors.prompts.limits.encode_prompt", spy)
    return seen


def by_turns(prompts: list[Prompt]) -> list[Prompt]:
    """Prompts of A and of B by turns; those of one pair have the same id."""
    by_id: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        by_id.setdefault(prompt.id, []).append(prompt)
    return [prompt for both in by_id.values() for prompt in both]


def test_results_are_those_of_the_contract(finished: Finished) -> None:
    found = read_json(finished("conflict") / "results.json")
    pairs = [(pair["a"], pair["b"]) for pair in found["conflict"]]
    assert pairs == [("next_letter", "to_upper"), ("list_last", "list_first")]
    for pair in found["conflict"]:
        assert set(pair) == {"a", "b", "layer", "n", "regular", "injected"}
        assert pair["n"] == 6
        for method in ("regular", "injected"):
            assert set(pair[method]) == {"a", "b"}
            for cell in pair[method].values():
                assert 0 <= cell["low"] <= cell["accuracy"] <= cell["high"] <= 1


def test_b_s_best_layer_on_dev(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    icl.sweep(llama, "to_upper,list_first", output=tmp_path, dev=3, test=3)
    file = tmp_path / "results.json"
    results = read_json(file)
    for entry, layer in zip(results["tasks"], (2, 1), strict=True):
        entry["best_layer"] = layer
    file.write_text(json.dumps(results), "utf-8")
    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    listener = Listener(counting="a")
    assert [pair["layer"] for pair in conflict(llama, tmp_path, observer=listener)] == [2, 1]
    assert not any("Sweeping" in text for text in listener.logged)
    layers = {
        (sample["task"], sample["layer"])
        for sample in read_lines(tmp_path / "samples.jsonl")
        if sample["method"] == "injected"
    }
    assert layers == {("next_letter:to_upper", 2), ("list_last:list_first", 1)}


def test_queries_differ_and_are_not_shown(
    llama: Model, tmp_path: Path, prompts: list[Prompt]
) -> None:
    conflict(llama, tmp_path, test=30, pairs="next_letter:to_upper,en_es:en_fr")
    assert len(prompts) == 2 * 2 * 30
    for of_a, of_b in zip(by_turns(prompts)[::2], by_turns(prompts)[1::2], strict=True):
        a, b = icl.load_task(of_a.task), icl.load_task(of_b.task)
        assert of_a.query == of_b.query
        assert of_a.query in shared_inputs(a, b)
        assert of_a.answers == a.answers[of_a.query] and of_b.answers == b.answers[of_b.query]
        assert not {answer.casefold() for answer in of_a.answers} & {
            answer.casefold() for answer in of_b.answers
        }
        for one, task in ((of_a, a), (of_b, b)):
            shown = [input for input, _ in one.demonstrations]
            assert (len(set(shown)), len(set(one.dummies))) == (3, 2)
            assert not {one.query, *one.dummies} & set(shown)
            assert one.query not in one.dummies
            assert all(output in task.answers[input] for input, output in one.demonstrations)
    first_of_a, first_of_b = prompts[0], prompts[1]
    assert first_of_a.demonstrations != first_of_b.demonstrations
    asked = [one.query for one in by_turns(prompts)[::2] if one.task == "next_letter"]
    inputs = shared_inputs(icl.load_task("next_letter"), icl.load_task("to_upper"))
    assert len(asked) == 30 and len(set(asked)) == min(30, len(inputs)), "as far as there are any"


def test_the_partner_of_a_query_is_not_shown(
    llama: Model, tmp_path: Path, prompts: list[Prompt]
) -> None:
    conflict(llama, tmp_path, test=30, shots=8, pairs="letter_case_both:next_letter")
    of_a = [one for one in prompts if one.task == "letter_case_both"]
    assert len(of_a) == 30
    for one in of_a:
        assert not {one.query, *one.answers} & {input for input, _ in one.demonstrations}


def test_a_task_of_one_s_own_is_a_side_of_a_pair(
    llama: Model, llama_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "back.json"
    file.write_text(json.dumps(dict(zip("bcdefghijklm", "abcdefghijkl", strict=True))), "utf-8")
    line = f"conflict --model {llama_folder} --test 3 --dev 3 --shots 2 --quiet --json -o"
    asked = ["--pairs", "back:to_upper", "--task-file", str(file)]
    assert run_command([*line.split(), str(tmp_path / "run"), *asked]) == 0
    [found] = json.loads(capsys.readouterr().out)["conflict"]
    own = icl.conflict(llama, [(icl.Task.from_file(file), "to_upper")], test=3, dev=3, shots=2)
    assert own.data["conflict"] == [found] and found["a"] == "back"
    again = ["--config", str(tmp_path / "run" / "run.json")]
    assert run_command([*line.split(), str(tmp_path / "again"), *again]) == 2
    assert "found none of back; give their files" in capsys.readouterr().err
    assert run_command([*line.split(), str(tmp_path / "again"), *again, *asked[2:]]) == 0
    assert json.loads(capsys.readouterr().out)["conflict"] == [found]
    assert run_command([*line.split(), str(tmp_path / "other"), *asked[2:]]) == 2
    assert "expected --pairs A:B that name back" in capsys.readouterr().err


def test_a_conflict_gives_what_plain_pytorch_gives(
    llama: Model, llama_folder: Path, tmp_path: Path, prompts: list[Prompt]
) -> None:
    listener = Listener(counting="a")
    found = conflict(llama, tmp_path, observer=listener)
    assert any(text.startswith(f"Sweeping in {tmp_path} first") for text in listener.logged)
    entries = read_json(tmp_path / "results.json")["tasks"]
    assert [entry["task"] for entry in entries] == ["to_upper", "list_first"], "of B alone"
    assert [len(listener.lines), listener.lines[0].split(":")[0]] == [2, "next_letter → to_upper"]
    model, tokenizer = load_plain(llama_folder), llama.tokenizer
    shown = {
        (s["task"], s["method"], s["id"]): (s["prediction"], s["correct"], s["correct_b"])
        for s in read_lines(tmp_path / "samples.jsonl")
        if ":" in s["task"]
    }
    assert len(shown) == 2 * 2 * 6
    layers = {pair["b"]: pair["layer"] for pair in found}
    for of_a, of_b in zip(by_turns(prompts)[::2], by_turns(prompts)[1::2], strict=True):
        ids, layer = regular_ids(tokenizer, as_twin(of_a)), layers[of_b.task]
        theta: Tensor = plain.theta(model, dummy_ids(tokenizer, as_twin(of_b)))[layer]
        tokens = plain.next_token(model, ids), plain.injected(model, ids, layer, theta)
        for method, token in zip(("regular", "injected"), tokens, strict=True):
            expected = (
                tokenizer.decode([token]),
                token in accepted_tokens(tokenizer, as_twin(of_a)),
                token in accepted_tokens(tokenizer, as_twin(of_b)),
            )
            assert shown[f"{of_a.task}:{of_b.task}", method, of_a.id] == expected


def test_samples_give_accuracies(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_right(model: Model, of_b: Any, of_a: Any, *rest: Any, **more: Any) -> dict[str, Any]:
        found = run_conflict(model, of_b, of_a, *rest, **more)
        accepted_b = [batch["accepted"][:, 0] for batch in of_b]
        accepted_a = [batch["accepted"][:, 0] for batch in of_a]
        found["answers"][:4, 0] = accepted_a[0][:4]
        found["answers"][:3, 1] = accepted_b[0][:3]
        return found

    monkeypatch.setattr("icl_vectors.graph.experiments.run_conflict", half_right)
    found = conflict(llama, tmp_path)
    samples = [s for s in read_lines(tmp_path / "samples.jsonl") if ":" in s["task"]]
    asked = [p for p in read_lines(tmp_path / "prompts.jsonl") if ":" in p["task"]]
    assert {p["id"] for p in asked} == {s["id"] for s in samples}
    for pair in found:
        for method in ("regular", "injected"):
            own = [
                sample
                for sample in samples
                if (sample["task"], sample["method"]) == (f"{pair['a']}:{pair['b']}", method)
            ]
            assert len(own) == pair["n"]
            for side, key in (("a", "correct"), ("b", "correct_b")):
                share = sum(sample[key] for sample in own) / len(own)
                assert pair[method][side]["accuracy"] == pytest.approx(share)
            assert not any(sample["correct"] and sample["correct_b"] for sample in own)
        assert pair["regular"]["a"]["accuracy"] >= 4 / 6
        assert pair["injected"]["b"]["accuracy"] >= 3 / 6

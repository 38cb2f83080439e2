import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.experiments.conflict import shared_inputs
from icl_vectors.graph.experiments import run_conflict
from icl_vectors.models.load import Model
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_records
from icl_vectors.tasks.task import load_task
from tests.experiments.compare import files_without_times
from tests.experiments.test_sweep import as_twin
from tests.listener import Listener, never
from tests.tiny import load_plain
from tests.twins import plain
from tests.twins.prompts import accepted_tokens, dummy_ids, regular_ids

PAIRS = "next_letter:to_upper,list_last:list_first"
SMALL: dict[str, Any] = {"test": 6, "dev": 4, "shots": 3, "pairs": PAIRS}


def conflict(model: Model, output: Path, **options: Any) -> list[dict[str, Any]]:
    found: Any = icl.conflict(model, output=output, **{**SMALL, **options}).data["conflict"]
    return list(found)


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


def test_results_are_those_of_the_contract(llama: Model, tmp_path: Path) -> None:
    found = conflict(llama, tmp_path)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["conflict"] == found
    assert [(pair["a"], pair["b"]) for pair in found] == [
        ("next_letter", "to_upper"),
        ("list_last", "list_first"),
    ]
    for pair in found:
        assert set(pair) == {"a", "b", "layer", "n", "regular", "injected"}
        assert pair["n"] == 6
        for method in ("regular", "injected"):
            assert set(pair[method]) == {"a", "b"}
            for cell in pair[method].values():
                assert 0 <= cell["low"] <= cell["accuracy"] <= cell["high"] <= 1


def test_without_a_sweep_it_sweeps_first_and_says_so(llama: Model, tmp_path: Path) -> None:
    listener = Listener(counting="a")
    conflict(llama, tmp_path, observer=listener)
    assert any(text.startswith(f"Sweeping in {tmp_path} first") for text in listener.notices)
    entries = json.loads((tmp_path / "results.json").read_text("utf-8"))["tasks"]
    assert [entry["task"] for entry in entries] == ["to_upper", "list_first"], "of B alone"
    assert [len(listener.lines), listener.lines[0].split(":")[0]] == [2, "next_letter → to_upper"]


def test_with_a_sweep_it_takes_the_layer_that_is_best_for_b_on_dev(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    icl.sweep(llama, "to_upper,list_first", output=tmp_path, dev=3, test=3)
    file = tmp_path / "results.json"
    results = json.loads(file.read_text("utf-8"))
    for entry, layer in zip(results["tasks"], (2, 1), strict=True):
        entry["best_layer"] = layer
    file.write_text(json.dumps(results), "utf-8")
    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    listener = Listener(counting="a")
    assert [pair["layer"] for pair in conflict(llama, tmp_path, observer=listener)] == [2, 1]
    assert not any("Sweeping" in text for text in listener.notices)
    layers = {
        (sample["task"], sample["layer"])
        for sample in read_lines(tmp_path / "samples.jsonl")
        if sample["method"] == "injected"
    }
    assert layers == {("next_letter:to_upper", 2), ("list_last:list_first", 1)}


def test_queries_are_answered_differently_and_stand_in_no_demonstration(
    llama: Model, tmp_path: Path, prompts: list[Prompt]
) -> None:
    conflict(llama, tmp_path, test=30, pairs="next_letter:to_upper,en_es:en_fr")
    assert len(prompts) == 2 * 2 * 30
    for of_a, of_b in zip(by_turns(prompts)[::2], by_turns(prompts)[1::2], strict=True):
        a, b = load_task(of_a.task), load_task(of_b.task)
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


def test_queries_are_distinct_as_far_as_there_are_inputs(
    llama: Model, tmp_path: Path, prompts: list[Prompt]
) -> None:
    conflict(llama, tmp_path, test=30, pairs="next_letter:to_upper")
    asked = [one.query for one in by_turns(prompts)[::2]]
    inputs = shared_inputs(load_task("next_letter"), load_task("to_upper"))
    assert len(set(asked)) == min(30, len(inputs))


def test_a_conflict_gives_what_plain_pytorch_gives(
    llama: Model, llama_folder: Path, tmp_path: Path, prompts: list[Prompt]
) -> None:
    found = conflict(llama, tmp_path)
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


def test_samples_agree_with_the_accuracies(
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


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_batch_size_changes_no_sample(llama: Model, tmp_path: Path, batch_size: int) -> None:
    files = []
    for name, size in (("auto", None), ("chosen", batch_size)):
        conflict(llama, tmp_path / name, batch_size=size)
        samples = read_lines(tmp_path / name / "samples.jsonl")
        files.append([sample for sample in samples if ":" in sample["task"]])
    assert files[0] == files[1]


def test_an_interrupted_conflict_goes_on_and_runs_no_finished_pair_again(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = conflict(llama, tmp_path / "unbroken")
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        conflict(llama, broken, observer=Listener(1, counting="a"))
    calls = []

    def counted(*given: Any, **more: Any) -> Any:
        calls.append(given)
        return run_conflict(*given, **more)

    monkeypatch.setattr("icl_vectors.graph.experiments.run_conflict", counted)
    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    listener = Listener(counting="a")
    assert conflict(llama, broken, observer=listener) == unbroken
    assert len(calls) == len(listener.lines) == 1
    skip = ("records.jsonl",)
    one, other = (files_without_times(tmp_path / n, skip) for n in ("unbroken", "broken"))
    assert one == other
    assert conflict(llama, broken) == unbroken
    assert len(calls) == 1


def test_the_users_mistakes_are_told_before_anything_is_run(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"pairs": "to_upper:to_upper"}, "expected two different tasks"),
        ({"pairs": "to_upper"}, "expected A:B, two tasks"),
        ({"pairs": "to_uper:to_lower"}, "Did you mean to_upper"),
        ({"pairs": "country_capital:to_upper"}, "found 0 in common and none such"),
        ({"test": 0}, "--test 0: expected 1 or more"),
        ({"dev": 0}, "--dev 0: expected 1 or more"),
        ({"dummies": 0}, "--dummies 0: expected 1 or more"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"shots": 30}, "found fewer: next_letter has 25"),
        ({"template": "{input}"}, "expected {output} exactly once"),
    ]
    for options, message in wrong:
        with pytest.raises(IclVectorsError) as raised:
            conflict(llama, tmp_path / "run", **options)
        assert message in str(raised.value)
        assert not isinstance(raised.value, RunError)
        assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused(llama: Model, tmp_path: Path) -> None:
    conflict(llama, tmp_path)
    for options, named in (
        ({"shots": 4}, "shots: 3 → 4"),
        ({"test": 7}, "test: 6 → 7"),
        ({"pairs": "next_letter:to_upper"}, "pairs: list_last:list_first"),
    ):
        with pytest.raises(IclVectorsError) as raised:
            conflict(llama, tmp_path, **options)
        assert named in str(raised.value)


def test_nan_stops_the_run_and_nothing_is_kept_of_that_pair(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "icl_vectors.graph.experiments.run_conflict",
        lambda *given, **more: {**run_conflict(*given, **more), "finite": False},
    )
    with pytest.raises(RunError, match="next_letter:to_upper: states or logits hold NaN"):
        conflict(llama, tmp_path)
    records = [r for r in read_records(tmp_path) if r["experiment"] == "conflict"]
    assert [record["event"] for record in records] == ["submitted"]
    assert not any(":" in line["task"] for line in read_lines(tmp_path / "samples.jsonl"))

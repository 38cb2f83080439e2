"""The comparison as users run it: figures, pairing, controls, costs, resumption."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.experiments.compare import compare
from icl_vectors.experiments.compare.config import CompareConfig, parse_arrows, parse_curve
from icl_vectors.methods.registry import parse_methods
from icl_vectors.models.load import Model
from icl_vectors.prompts.template import Template
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from icl_vectors.scoring import exact_mcnemar
from tests.experiments.conftest import Finished, run

TASKS = ["to_upper", "letter_case_both"]
SETTINGS: dict[str, Any] = {"dev": 3, "test": 4, "arrows": "-> :", "shots_curve": "0,2,5"}
EVERY = [method.name for method in parse_methods("all")]
TIMES = ("seconds",)


@pytest.fixture(scope="module")
def folder(llama: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compared")
    compare(llama, TASKS, output=path, **SETTINGS)
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    return read_json(folder / "results.json")


def timeless(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {key: timeless(one) for key, one in value.items() if key not in TIMES}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def test_every_task_has_every_method_with_its_controls(data: dict[str, Any]) -> None:
    names = ["regular", "zero-shot"]
    for method in EVERY:
        controls = ("random", "shuffled", "other-task", "task-mean")
        names += [method, *(f"{method}:{control}" for control in controls)]
    for task in TASKS:
        assert [one["method"] for one in data["compare"] if one["task"] == task] == names
    for one in data["compare"]:
        assert {"task", "method", "n", "accuracy", "low", "high", "layer_tokens"} <= one.keys()
        assert one["n"] == 4 and one["low"] <= one["accuracy"] <= one["high"]


def test_accuracies_are_those_of_the_samples(folder: Path, data: dict[str, Any]) -> None:
    lines = read_lines(folder / "samples.jsonl")
    for one in data["compare"]:
        unit = one["task"], one["method"]
        own = [line for line in lines if (line["task"], line["method"]) == unit]
        assert len(own) == one["n"]
        assert sum(line["correct"] for line in own) / len(own) == one["accuracy"]
    asked = {line["id"] for line in read_lines(folder / "prompts.jsonl")}
    assert {line["id"] for line in lines} <= asked


def test_methods_are_paired_with_their_controls(folder: Path, data: dict[str, Any]) -> None:
    right: dict[str, dict[str, bool]] = {}
    for line in read_lines(folder / "samples.jsonl"):
        right.setdefault(line["method"], {})[line["id"]] = line["correct"]
    for one in data["compare_summary"]:
        own = right[one["method"]]
        assert one["n"] == len(own) == 8
        for name, against in one["against"].items():
            won = sum(own[id] and not right[name][id] for id in own)
            lost = sum(right[name][id] and not own[id] for id in own)
            assert (against["won"], against["lost"]) == (won, lost)
            assert against["p"] == pytest.approx(exact_mcnemar(lost, won), abs=1e-6)
        held = [a for name, a in one["against"].items() if name != "regular"]
        lacking = [a for a in held if a["won"] <= a["lost"] or a["p"] >= 0.05]
        few = bool(lacking) and all(a["won"] + a["lost"] < 6 for a in lacking)
        plain = ":" not in " ".join(one["against"])
        assert one["beats_controls"] == (None if plain or few else not lacking)


def test_regular_against_itself_is_no_distance_away(data: dict[str, Any]) -> None:
    for one in data["compare"]:
        if one["method"] == "regular":
            assert one["total_variation"] == one["divergence"] == 0
        assert one["regular"]["n"] == 4 if "regular" in one else one["of"]


def test_the_curve_has_every_number_of_demonstrations(data: dict[str, Any]) -> None:
    points = {(one["task"], one["method"], one["shots"]) for one in data["compare_shots"]}
    for task in TASKS:
        expected = {(task, "regular", shots) for shots in (0, 2, 5)}
        expected |= {(task, method, shots) for method in EVERY for shots in (2, 5)}
        assert {point for point in points if point[0] == task} == expected
    by_key = {(o["task"], o["method"]): o for o in data["compare"]}
    for one in data["compare_shots"]:
        if one["shots"] == 5:
            assert one["accuracy"] == by_key[one["task"], one["method"]]["accuracy"]
        if one["shots"] == 0:
            assert one["accuracy"] == by_key[one["task"], "zero-shot"]["accuracy"]


def test_the_curve_is_that_of_comparisons(llama: Model, data: dict[str, Any]) -> None:
    fewer = compare(llama, TASKS, "state", "none", shots=2, dev=3, test=4)
    at_two = {(o["task"], o["method"]): o for o in data["compare_shots"] if o["shots"] == 2}
    at_five = {(o["task"], o["method"]): o for o in data["compare"]}
    for one in fewer.data["compare"]:
        if one["method"] == "regular":
            key = (one["task"], "regular")
            for measure in ("accuracy", "log_probability", "rank"):
                assert at_two[key][measure] == one[measure], (key, measure)
            assert at_two[key]["log_probability"] != at_five[key]["log_probability"]


def test_the_other_task_is_not_made_from_the_same_pairs() -> None:
    names = ["to_upper", "letter_case_both", "next_letter", "en_fr_both", "fr_en"]
    plan = CompareConfig.make(names, dev=3, test=4)
    found = {task.name: plan.other(task) for task in plan.tasks}
    others = {name: other.name for name, other in found.items() if other is not None}
    assert others == {
        "to_upper": "en_fr_both",
        "letter_case_both": "next_letter",
        "next_letter": "en_fr_both",
        "en_fr_both": "to_upper",
        "fr_en": "to_upper",
    }


def test_vectors_are_put_in_under_every_arrow(data: dict[str, Any]) -> None:
    found = {(one["task"], one["method"], one["arrow"]) for one in data["compare_arrows"]}
    assert found == {(t, m, a) for t in TASKS for m in EVERY for a in ("->", ":")}


def test_heads_are_kept_and_used_again(
    llama: Model, folder: Path, data: dict[str, Any], tmp_path: Path
) -> None:
    heads = read_json(folder / "heads.json")
    assert heads["fingerprint"] == llama.fingerprint
    effects = [one["effect"] for one in heads["ranked"]]
    assert effects == sorted(effects, reverse=True) and len(effects) == 4 * 4
    given: dict[str, Any] = {"heads": folder / "heads.json", "output": tmp_path}
    again = compare(llama, TASKS, "function", "none", dev=3, test=4, **given)
    of_function = (
        [one for one in of["compare"] if one["method"] == "function"] for of in (again.data, data)
    )
    for one, before in zip(*of_function, strict=True):
        assert timeless({**one, "ranking": 0}) == timeless({**before, "ranking": 0})
        assert (one["ranking"], before["ranking"] > 0) == (0, True)
    assert not any("heads" in str(record["task"]) for record in read_records(tmp_path))
    assert not (tmp_path / "heads.json").exists()  # its origin is the other folder
    assert data["compare"] and json.dumps(again.data["compare"])
    listed = compare(llama, TASKS[:1], ["state"], ["random"], dev=2, test=2)
    assert [one["method"] for one in listed.data["compare"]][2:] == ["state", "state:random"]
    alone = compare(llama, ["to_upper"], "state", dev=2, test=2)  # has no other task's vectors
    methods = [one["method"] for one in alone.data["compare"]]
    assert methods == ["regular", "zero-shot", "state", "state:random", "state:shuffled"]


@pytest.mark.parametrize("kept", [1, 5, 11])
def test_a_broken_run_goes_on(llama: Model, finished: Finished, tmp_path: Path, kept: int) -> None:
    unbroken, broken = finished("compare"), tmp_path / "run"
    shutil.copytree(unbroken, broken)
    lines = (unbroken / "records.jsonl").read_text().splitlines(keepends=True)
    done = [index for index, line in enumerate(lines) if '"event": "done"' in line]
    (broken / "records.jsonl").write_text("".join(lines[: done[kept] + 1]))
    (broken / "results.json").unlink()
    run("compare", llama, broken)
    results = (timeless(read_json(folder / "results.json")) for folder in (broken, unbroken))
    assert next(results) == next(results)
    for name in ("samples.jsonl", "prompts.jsonl"):
        mine, whole = (sorted(map(json.dumps, read_lines(f / name))) for f in (broken, unbroken))
        assert mine == whole
    again = [r["task"] for r in read_records(broken) if r["event"] == "done"]
    assert len(again) == len(set(again)) == len(done)


def test_batches_change_nothing(llama: Model, data: dict[str, Any]) -> None:
    found = compare(llama, ["to_upper"], "all", "none", batch_size=1, dev=3, test=4)
    known = [one for one in data["compare"] if one["task"] == "to_upper" and "of" not in one]
    for one, other in zip(found.data["compare"], known, strict=True):
        if one["method"] == "function":  # its heads are those of one task here
            continue
        for key in ("accuracy", "rank", "choice", "dev_accuracy"):
            assert one.get(key) == other.get(key), (one["task"], one["method"], key)


def test_a_sweep_and_a_comparison_share_a_folder(llama: Model, tmp_path: Path) -> None:
    icl.sweep(llama, ["to_upper"], output=tmp_path, dev=3, test=4)
    compare(llama, ["to_upper"], "state", output=tmp_path, dev=3, test=4)
    data = read_json(tmp_path / "results.json")
    swept, compared = data["tasks"][0], {one["method"]: one for one in data["compare"]}
    assert compared["state"]["accuracy"] == swept["hypothesis"]["accuracy"]
    assert compared["state"]["choice"] == {"layer": swept["best_layer"]}
    assert compared["regular"]["accuracy"] == swept["regular"]["accuracy"]
    assert compared["zero-shot"]["accuracy"] == swept["baseline"]["accuracy"]


def test_arrows_keep_the_rest_of_the_template() -> None:
    found = parse_arrows("-> =", Template("Q: {input} → {output}."))
    assert [one.text for one in found] == ["Q: {input}->{output}.", "Q: {input}={output}."]
    assert parse_curve("4, 0,2,2") == (0, 2, 4)

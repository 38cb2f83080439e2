"""Methods that are fitted on half of dev: what they see, what they leave as it was, who refuses."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.compare import compare
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.experiments.compare.prompts import TaskPrompts, variant
from icl_vectors.methods.learned import LEARNED, OPTIONS
from icl_vectors.methods.linear import LINEAR
from icl_vectors.methods.prepare import taught
from icl_vectors.methods.session import run_method
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.report.compare.gap import gap_lines
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json
from icl_vectors.scoring import exact_mcnemar
from tests.experiments.compare import files_without_times
from tests.method_batches import batches_of
from tests.method_twins import DEV, TEST, encode
from tests.tiny import Tiny
from tests.twins import methods as twin
from tests.twins import plain
from tests.twins.prompts import query_ids

TASKS = ["antonyms", "country_capital"]
FITTED: dict[str, Any] = {"methods": "state,state-mean,learned,linear", "dev": 6, "test": 5}
CLOSE: dict[str, Any] = {"rtol": 2e-4, "atol": 2e-4}


@pytest.fixture(scope="module")
def folder(llama: icl.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "run"
    compare(llama, TASKS, output=path, layers="1,3", **FITTED)
    return path


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, Any]:
    return read_json(folder / "results.json")


def learned(model: icl.Model, tiny: Tiny, size: int = 2) -> dict[str, Any]:
    batches = batches_of(model, LEARNED, encode(tiny, DEV), encode(tiny, TEST), size=size)
    return run_method(model, LEARNED, {}, batches, LEARNED.candidates([1, 3], {}), [variant()])


def test_weights_are_frozen_while_it_trains_and_then_as_before(tiny: Tiny) -> None:
    weights = [*tiny.model.nnsight._module.parameters()]
    weights[0].requires_grad_(False)
    before = [weight.requires_grad for weight in weights]
    values = [weight.detach().clone() for weight in weights]
    learned(tiny.model, tiny)
    assert [weight.requires_grad for weight in weights] == before
    assert all(weight.grad is None for weight in weights)
    assert all(torch.equal(one, two) for one, two in zip(weights, values, strict=True))
    weights[0].requires_grad_(True)


def test_it_is_the_same_on_whole_prompts_and_in_other_batches_and_again(tiny: Tiny) -> None:
    own = learned(tiny.model, tiny)
    whole = replace(tiny.model, way=replace(tiny.model.way, cached=False))
    assert torch.equal(learned(tiny.model, tiny)["vectors"], own["vectors"])
    for other in (learned(whole, tiny), learned(tiny.model, tiny, size=4)):
        assert other["chosen"] == own["chosen"] and torch.equal(other["dev"], own["dev"])
        assert_close(other["vectors"], own["vectors"], **CLOSE)


def test_what_is_trained_on_is_never_asked_on_test() -> None:
    task = icl.load_task("to_upper")  # of 26 inputs
    dev, test = sample_prompts(task, dev=10, test=20)
    found = taught(dev[:5], dev[5:], test)
    tested = {one.query for one in test}
    assert found and not {one.query for one in found} & tested
    assert all(one.answers == task.answers[one.query] for one in found)
    shown = {x for one in dev[:5] for x in (one.query, *(pair[0] for pair in one.demonstrations))}
    assert {one.query for one in found} <= shown
    apart = {one.query for one in found} - {one.query for one in dev[5:]}
    assert apart in (set(), {one.query for one in found})
    with pytest.raises(IclVectorsError, match="lower --test"):
        taught(*(sample_prompts(task, dev=10, test=26)[part] for part in (0, 0, 1)))


def test_a_pair_that_test_asks_is_not_trained_on_the_other_way_round_either() -> None:
    task = icl.load_task("letter_case_both")
    dev, test = sample_prompts(task, dev=10, test=12)
    found = taught(dev[:5], dev[5:], test)
    pairs = {frozenset((one.query, answer)) for one in found for answer in one.answers}
    assert found and not pairs & {frozenset((o.query, a)) for o in test for a in o.answers}


def test_a_task_that_leaves_nothing_to_train_on_is_refused_first(
    llama: icl.Model, tmp_path: Path
) -> None:
    with pytest.raises(IclVectorsError, match="task to_upper: expected inputs to train on"):
        compare(llama, ["antonyms", "to_upper"], "learned", dev=4, test=26, output=tmp_path / "a")
    with pytest.raises(IclVectorsError, match="--dev 1 with --methods linear: expected 2 or more"):
        compare(llama, ["to_upper"], "linear", dev=1, test=2, output=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_server_is_not_asked_for_gradients(llama: icl.Model, tmp_path: Path) -> None:
    there = replace(llama, host="http://127.0.0.1:9")
    told = "learned': expected a model on this machine, found one on http://127.0.0.1:9"
    with pytest.raises(IclVectorsError, match=told) as refused:
        compare(there, TASKS, "state,learned", output=tmp_path / "run")
    assert "\n" not in str(refused.value) and not (tmp_path / "run").exists()
    with pytest.raises(IclVectorsError, match=told):
        icl.extract(there, icl.load_task("antonyms"), method="learned", prompts=4)


@contextmanager
def without_gradients(model: icl.Model, change: Any) -> Iterator[None]:
    handle = model.nnsight._module.get_submodule(model.architecture.blocks[-1])
    removable = handle.register_forward_hook(change)
    try:
        yield
    finally:
        removable.remove()


def test_a_family_without_gradients_is_refused_in_a_line(llama: icl.Model, tmp_path: Path) -> None:
    def cut(module: nn.Module, given: Any, output: Any) -> Any:
        return output.detach() if torch.is_tensor(output) else (output[0].detach(), *output[1:])

    with without_gradients(llama, cut), pytest.raises(IclVectorsError, match="gives gradients"):
        compare(llama, TASKS, "learned", output=tmp_path / "run", dev=2, test=2)
    assert not (tmp_path / "run").exists()


def test_all_leaves_out_what_is_fitted() -> None:
    config = CompareConfig.make(TASKS, dev=4, test=4)
    assert not {"learned", "linear"} & set(config.methods)


def test_the_shuffled_control_is_trained_towards_answers_of_others(llama: icl.Model) -> None:
    config = CompareConfig.make(["antonyms"], "learned", dev=8, test=4)
    own = TaskPrompts.make(llama, config, config.tasks[0])
    [sound], [wrong] = (
        own.contexts(LEARNED, own.dev, 60),
        own.variants(LEARNED, {}, 60)["shuffled"]["contexts"],
    )
    [one], [other] = sound["taught"], wrong["taught"]
    assert torch.equal(
        one["arrow"][0]["inputs"]["input_ids"], other["arrow"][0]["inputs"]["input_ids"]
    )
    same = (one["accepted"][:, 0] == other["accepted"][:, 0]).float().mean()
    assert same < 0.5
    assert not own.variants(LINEAR, {}, 60)["shuffled"]["contexts"][0].get("taught")


def test_they_stand_beside_the_extracted_ones(folder: Path, data: dict[str, Any]) -> None:
    right: dict[str, dict[str, bool]] = {}
    for line in read_lines(folder / "samples.jsonl"):
        right.setdefault(line["method"], {})[line["id"]] = line["correct"]
    summary = {one["method"]: one for one in data["compare_summary"]}
    assert "beside" not in summary["state"]
    for method in ("learned", "linear"):
        for other, beside in summary[method]["beside"].items():
            own, base = right[method], right[other]
            won, lost = (sum(a[id] > b[id] for id in a) for a, b in ((own, base), (base, own)))
            assert (beside["won"], beside["lost"], beside["n"]) == (won, lost, 10)
            assert beside["p"] == pytest.approx(exact_mcnemar(lost, won), abs=1e-6)
        assert list(summary[method]["beside"]) == ["state-mean", "state"]
    [entry] = [e for e in data["compare"] if (e["task"], e["method"]) == ("antonyms", "learned")]
    assert entry["n_taught"] > 3 and list(entry["choice"]) == ["layer", "rate", "steps"]
    assert len(entry["dev_accuracy"]) == 2 * len(OPTIONS)


def test_the_gap_is_told_by_the_tasks_means(data: dict[str, Any]) -> None:
    means = {one["method"]: one["accuracy"] for one in data["compare_summary"]}
    sure = deepcopy(data)
    for one in sure["compare_summary"]:
        for other in ({**one.get("beside", {}), **one["against"]}).values():
            other["p"] = 0.01
    unsure, line = (
        next(one for one in gap_lines(of) if one.startswith("learned") and "state-mean:" in one)
        for of in (data, sure)
    )
    assert len(gap_lines(data)) == 2 + 4
    assert "fault" not in unsure and "single" not in unsure, "ten prompts name no cause"
    gained, left = means["learned"] - means["state-mean"], means["regular"] - means["learned"]
    fault, rest = ("the" if gained > 0 else "none is the"), ("the" if left > 0 else "none is the")
    assert f"{gained:+.2f} gained ({fault} extraction's fault)" in line
    assert f"{left:+.2f} left to regular ({rest} single vector's)" in line


def test_a_run_broken_in_training_goes_on(llama: icl.Model, folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "run"
    shutil.copytree(folder, broken)
    lines = (folder / "records.jsonl").read_text("utf-8").splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if "antonyms:learned" in line and "done" in line)
    (broken / "records.jsonl").write_text("".join(lines[:first]), "utf-8")
    compare(llama, TASKS, output=broken, layers="1,3", **FITTED)
    skip = ("report.html",)
    assert files_without_times(broken, skip).keys() == files_without_times(folder, skip).keys()
    for name in ("samples.jsonl", "prompts.jsonl"):
        assert (broken / name).read_bytes() == (folder / name).read_bytes()


def test_a_learned_vector_is_kept_and_injected(tiny: Tiny, tmp_path: Path) -> None:
    words = icl.Task.from_pairs("words", {f"w{i}": f"w{i + 60}" for i in range(30)})
    theta = icl.extract(tiny.model, words, method="learned", prompts=4, layers=[1, 2], seed=3)
    again = icl.TaskVector.load(theta.save(tmp_path / "learned.safetensors"))
    assert (again.method, again.layers) == ("learned", (1, 2))
    assert again.made_by.startswith("rate 0.003, 10 steps")
    mean = icl.extract(tiny.model, words, method="state-mean", prompts=4, layers=[1, 2], seed=3)
    moved = (theta.vectors - mean.vectors).abs().max(-1).values
    assert (moved > 0).all()
    found = icl.apply(tiny.model, again, ["w50"], layer=2, return_logits=True).logits
    ids = query_ids(
        tiny.tokenizer, {"query": "w50", "demonstrations": [], "answers": [], "dummies": []}
    )
    with torch.no_grad():
        expected = plain.injected_logits(tiny.plain, ids, 2, theta.at(2))
    assert found is not None
    assert_close(found[0], expected, rtol=1e-4, atol=1e-4)
    linear = icl.extract(tiny.model, words, method="linear", prompts=4, layers=[2], seed=3)
    found = icl.apply(tiny.model, linear, ["w50"], return_logits=True).logits
    with torch.no_grad():
        expected = twin.with_added(tiny.plain, ids, 2, linear.at(2))
    assert found is not None
    assert_close(found[0], expected, rtol=1e-4, atol=1e-4)

from pathlib import Path
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_records
from tests.listener import Listener
from tests.tiny import bytes_tokenizer, random_model, save_model, save_tiny

TASKS = "list_first,to_upper,next_letter"
ZS = icl.Task.from_pairs("zs", {letter: f"Z{letter}" for letter in "abcdefghij"})


def sweep(model: icl.Model, output: Path | None, **options: Any) -> icl.Results:
    given: dict[str, Any] = {"tasks": TASKS, "dev": 5, "test": 5, "batch_size": 2, **options}
    return icl.sweep(model, output=output, **given)


def events(folder: Path) -> list[tuple[str, str]]:
    return [(record["event"], record["task"]) for record in read_records(folder)]


@pytest.fixture(scope="module")
def joining(tmp_path_factory: pytest.TempPathFactory) -> icl.Model:
    """A model whose tokenizer joins the arrow with a Z."""
    return icl.load_model(str(save_tiny(tmp_path_factory.mktemp("joining"), joins="→Z")))


def test_a_task_that_cannot_be_encoded_is_named(joining: icl.Model, tmp_path: Path) -> None:
    listener, tasks = Listener(), [ZS, icl.load_task("list_first")]
    found = sweep(joining, tmp_path / "run", tasks=tasks, observer=listener)
    assert [entry["task"] for entry in found.data["tasks"]] == ["list_first"]
    assert listener.ran == ["list_first"]
    ((task, seed, error),) = listener.failures
    assert (task, seed) == ("zs", 41) and "joins the arrow with the answer" in error
    assert found.failures == {("zs", 41): error}
    assert events(tmp_path / "run")[0] == ("failed", "zs")
    assert {s["task"] for s in read_lines(tmp_path / "run" / "samples.jsonl")} == {"list_first"}


def test_prompts_that_join_their_answer_are_left_out(joining: icl.Model, tmp_path: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    upper = icl.Task.from_pairs("upper", {letter: letter.upper() for letter in letters})
    listener = Listener()
    options: dict[str, Any] = {"dev": 12, "test": 12, "shots": 2, "observer": listener}
    results = icl.sweep(joining, upper, output=tmp_path / "run", **options)
    [entry] = results.data["tasks"]
    left = {"dev": entry["n_dev"], "test": entry["n_test"]}
    frame = icl.predictions(results)
    for split, count in left.items():
        kept = frame[(frame["split"] == split) & (frame["method"] == "hypothesis")]
        assert kept["query"].nunique() <= kept["prompt"].nunique() == count
        assert not kept["prompt"].str.contains("→Z").any() and "z" not in set(kept["query"])
    lost = {split: 12 - count for split, count in left.items() if count < 12}
    assert lost, "a draw in which no prompt holds z shows nothing"
    for split, count in lost.items():
        [line] = [line for line in listener.logged if f" {split} prompts" in line]
        assert line.startswith(f"{count} of 12 {split} prompts of upper are left out")
        assert line.endswith(f"joins the arrow with the answers 'Z' ({count})")
    again = icl.sweep(joining, upper, output=tmp_path / "run", **options)
    assert again.data["tasks"] == results.data["tasks"]


def test_when_no_task_can_be_encoded_nothing_is_written(joining: icl.Model, tmp_path: Path) -> None:
    with pytest.raises(IclVectorsError, match="joins the arrow with the answer"):
        sweep(joining, tmp_path / "run", tasks=[ZS])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("broken", ["model.layers.2.mlp.down_proj.weight", "lm_head.weight"])
def test_nan_stops_the_run_and_nothing_is_kept_of_that_task(tmp_path: Path, broken: str) -> None:
    model = random_model("llama")
    model.get_parameter(broken).data[3] = torch.nan
    folder = save_model(tmp_path / "model", model, bytes_tokenizer())
    with pytest.raises(RunError) as raised:
        sweep(icl.load_model(str(folder)), tmp_path / "run")
    named = "the states of block 2" if "layers" in broken else "the logits"
    assert f"list_first: {named} hold NaN or infinity in float32 on cpu" in str(raised.value)
    run = tmp_path / "run"
    assert events(run) == [("submitted", "list_first")]
    assert not (run / "samples.jsonl").exists() and not (run / "prompts.jsonl").exists()
    assert not list(run.rglob("*.safetensors"))

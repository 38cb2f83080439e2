from pathlib import Path
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.engine.results import Results
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.models.load import Model, load_model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_records
from icl_vectors.tasks.task import Task, load_task
from tests.experiments.compare import files_without_times
from tests.listener import Listener, never
from tests.tiny import bytes_tokenizer, random_model, save_model

TASKS = "list_first,to_upper,next_letter"


def sweep(model: Model, output: Path | None, **options: Any) -> Results:
    given: dict[str, Any] = {"tasks": TASKS, "dev": 5, "test": 5, "batch_size": 2, **options}
    return icl.sweep(model, output=output, **given)


def events(folder: Path) -> list[tuple[str, str]]:
    return [(record["event"], record["task"]) for record in read_records(folder)]


@pytest.mark.parametrize(
    ("stop", "finished", "submitted"),
    [
        ({"stop_after": 1}, 1, 1),
        ({"stop_at": "to_upper dev"}, 1, 2),
        ({"stop_at": "next_letter test"}, 2, 3),
        ({"stop_at": "list_first dev"}, 0, 1),
    ],
)
def test_an_interrupted_run_goes_on_to_the_results_of_an_unbroken_one(
    llama: Model, tmp_path: Path, stop: dict[str, Any], finished: int, submitted: int
) -> None:
    unbroken = sweep(llama, tmp_path / "unbroken")
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        sweep(llama, broken, observer=Listener(**stop))
    names = TASKS.split(",")
    assert [task for event, task in events(broken) if event == "done"] == names[:finished]
    assert sum(event == "submitted" for event, _ in events(broken)) == submitted
    listener = Listener()
    resumed = sweep(llama, broken, observer=listener)
    assert listener.done_before == finished
    assert listener.ran == names[finished:]
    assert resumed.data == unbroken.data
    one, other = (
        files_without_times(tmp_path / name, skip=("records.jsonl",))
        for name in ("unbroken", "broken")
    )
    assert {k: v for k, v in one.items() if not k.startswith("vectors/")} == {
        k: v for k, v in other.items() if not k.startswith("vectors/")
    }
    for name in (name for name in one if name.startswith("vectors/")):
        thetas = [icl.TaskVector.load(tmp_path / run / name) for run in ("unbroken", "broken")]
        assert torch.equal(thetas[0].vectors, thetas[1].vectors)


def test_a_finished_run_is_not_run_again(
    llama: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sweep(llama, tmp_path)
    before = files_without_times(tmp_path)

    monkeypatch.setattr("icl_vectors.graph.task.run_task", never)
    assert sweep(llama, tmp_path, batch_size=1).data == first.data
    assert files_without_times(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"shots": 4}, "shots: 5 → 4"),
        ({"seeds": (1,)}, "seeds: [41] → [1]"),
        ({"layers": "1:"}, "layers: [0, 1, 2, 3] → [1, 2, 3]"),
        ({"template": "paper"}, "template: {input}→{output} → example:{input}->{output}"),
        ({"tasks": "list_first"}, "tasks: next_letter"),
        ({"test": 6}, "test: 5 → 6"),
    ],
)
def test_another_configuration_is_refused_and_the_folder_left_as_it_was(
    llama: Model, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    sweep(llama, tmp_path, tasks=TASKS)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(IclVectorsError) as raised:
        sweep(llama, tmp_path, **changes)
    assert named in str(raised.value)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_another_dtype_is_refused_for_the_same_folder(
    llama: Model, llama_folder: Path, tmp_path: Path
) -> None:
    sweep(llama, tmp_path)
    with pytest.raises(IclVectorsError, match="model: dtype float32 → bfloat16"):
        sweep(load_model(str(llama_folder), dtype="bfloat16"), tmp_path)


def test_a_task_that_cannot_be_encoded_is_named_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    joining = bytes_tokenizer(joins="→Z")
    folder = save_model(tmp_path / "model", random_model("llama"), joining)
    zs = Task.from_pairs("zs", {letter: f"Z{letter}" for letter in "abcdefghij"})
    listener = Listener()
    found = sweep(
        load_model(str(folder)),
        tmp_path / "run",
        tasks=[zs, load_task("list_first")],
        observer=listener,
    )
    assert [entry["task"] for entry in found.data["tasks"]] == ["list_first"]
    assert listener.ran == ["list_first"]
    ((task, seed, error),) = listener.failures
    assert (task, seed) == ("zs", 41) and "joins the arrow with the answer" in error
    assert found.failures == {("zs", 41): error}
    assert events(tmp_path / "run")[0] == ("failed", "zs")
    assert {s["task"] for s in read_lines(tmp_path / "run" / "samples.jsonl")} == {"list_first"}


def test_prompts_with_an_answer_that_is_joined_are_left_out_and_named_with_their_number(
    tmp_path: Path,
) -> None:
    joining = bytes_tokenizer(joins="→Z")
    model = load_model(str(save_model(tmp_path / "model", random_model("llama"), joining)))
    letters = "abcdefghijklmnopqrstuvwxyz"
    upper = Task.from_pairs("upper", {letter: letter.upper() for letter in letters})
    listener = Listener()
    options: dict[str, Any] = {"dev": 12, "test": 12, "shots": 2, "observer": listener}
    results = icl.sweep(model, upper, output=tmp_path / "run", **options)
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
        [line] = [line for line in listener.notices if f" {split} prompts" in line]
        assert line.startswith(f"{count} of 12 {split} prompts of upper are left out")
        assert line.endswith(f"joins the arrow with the answers 'Z' ({count})")
    again = icl.sweep(model, upper, output=tmp_path / "run", **options)
    assert again.data["tasks"] == results.data["tasks"]


def test_when_no_task_can_be_encoded_nothing_is_written(tmp_path: Path) -> None:
    joining = bytes_tokenizer(joins="→Z")
    model = load_model(str(save_model(tmp_path / "model", random_model("llama"), joining)))
    zs = Task.from_pairs("zs", {letter: f"Z{letter}" for letter in "abcdefghij"})
    with pytest.raises(IclVectorsError, match="joins the arrow with the answer"):
        sweep(model, tmp_path / "run", tasks=[zs])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("broken", ["model.layers.2.mlp.down_proj.weight", "lm_head.weight"])
def test_nan_stops_the_run_and_nothing_is_kept_of_that_task(tmp_path: Path, broken: str) -> None:
    model = random_model("llama")
    model.get_parameter(broken).data[3] = torch.nan
    folder = save_model(tmp_path / "model", model, bytes_tokenizer())
    with pytest.raises(RunError) as raised:
        sweep(load_model(str(folder)), tmp_path / "run")
    named = "the states of block 2" if "layers" in broken else "the logits"
    assert f"list_first: {named} hold NaN or infinity in float32 on cpu" in str(raised.value)
    run = tmp_path / "run"
    assert events(run) == [("submitted", "list_first")]
    assert not (run / "samples.jsonl").exists() and not (run / "prompts.jsonl").exists()
    assert not list(run.rglob("*.safetensors"))

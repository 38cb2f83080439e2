import shutil
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.cli.run_folders import RunFolders
from icl_vectors.runs.folder import read_json
from tests.cli.conftest import Command
from tests.tiny import save_tiny

COUNTS = "--shots 2 --dev 2 --test 3 --layers 1,2 --tasks to_upper --output out"
PAIRS, DUMMIES = {"a": "A", "b": "B"}, ["c"]


def places(models: list[str], output: Path | None = None, **options: Any) -> list[str]:
    planned = RunFolders.plan(output, models, ["float32"], "sweep", **options)
    return [str(planned.of(reference, "float32")) for reference in planned.names]


@pytest.fixture
def here(place: Path, llama_folder: Path) -> Path:
    """A working folder with the models tiny, a/checkpoint-500 and b/checkpoint-500."""
    for name in ("tiny", "a/checkpoint-500"):
        shutil.copytree(llama_folder, place / name)
    save_tiny(place / "b" / "checkpoint-500", "gpt2")
    return place


def test_a_local_model_is_named_for_its_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = ["tiny", "tiny/", "./tiny", str(here / "tiny"), "a/../tiny"]
    assert {path for way in ways for path in places([way])} == {"runs/tiny-float32-sweep"}
    assert places(ways) == ["runs/tiny-float32-sweep"], "one model, one run"
    monkeypatch.chdir(here / "tiny")
    assert places(["."]) == ["runs/tiny-float32-sweep"]


@pytest.mark.usefixtures("here")
def test_models_of_one_name_and_revisions_have_folders_of_their_own() -> None:
    models = ["a/checkpoint-500", "b/checkpoint-500", "tiny"]
    names = ["a--checkpoint-500-float32", "b--checkpoint-500-float32", "tiny-float32"]
    assert places(models, Path("out")) == [f"out/{name}" for name in names]
    assert places(["lab/model"]) == ["runs/lab--model-float32-sweep"]
    assert places(["lab/model"], revision="v2") == ["runs/lab--model@v2-float32-sweep"]


def test_precisions_are_compared_in_a_folder_of_the_model() -> None:
    for output, models, expected in (
        (Path("d"), ["a/b"], Path("d")),
        (Path("d"), ["a/b", "c"], Path("d/a--b-precision")),
        (None, ["a/b"], Path("runs/a--b-precision")),
    ):
        planned = RunFolders.plan(output, models, ["float32", "bfloat16"], "sweep")
        assert planned.of_precisions("a/b") == expected


@pytest.mark.usefixtures("here")
def test_two_models_of_one_folder_name_run_in_one_command(command: Command) -> None:
    models = "--model a/checkpoint-500 --model b/checkpoint-500"
    assert command(*f"sweep {models} {COUNTS} --quiet".split()).code == 0
    found = sorted(path.parent.name for path in Path("out").glob("*/results.json"))
    assert found == ["a--checkpoint-500-float32", "b--checkpoint-500-float32"]


def test_a_run_goes_on_by_any_path(here: Path, command: Command) -> None:
    assert command(*f"sweep --model tiny {COUNTS}".split()).code == 0
    before = Path("out/samples.jsonl").read_bytes()
    code, _, err = command(*f"sweep --model {here}/tiny {COUNTS}".split())
    assert code == 0 and "All 1 were finished before." in err
    assert Path("out/samples.jsonl").read_bytes() == before
    words = "vocabulary --tasks to_upper --test 3 --output out --quiet --model ./tiny"
    assert command(*words.split()).code == 0
    code, _, err = command(*f"sweep --model b/checkpoint-500 {COUNTS}".split())
    assert code == 2 and "another configuration (model: tiny → b/checkpoint-500" in err, err


@pytest.mark.usefixtures("here")
def test_a_folder_s_name_is_no_hub_id(command: Command) -> None:
    theta = icl.extract(icl.load_model("a/checkpoint-500"), PAIRS, DUMMIES)
    theta.save("theta.safetensors")
    assert theta.from_folder and icl.TaskVector.load("theta.safetensors").from_folder
    shown = command("apply", "theta.safetensors", "--info")
    assert shown.code == 0 and "a/checkpoint-500 (a folder)" in shown.out
    shutil.rmtree("a")
    code, _, err = command("apply", "theta.safetensors", "d", "--layer", "1")
    assert code == 2
    assert "its model was in the folder a/checkpoint-500, found no such folder here" in err
    card = (icl.share([theta], "shared") / "README.md").read_text("utf-8")
    assert "base_model" not in card and "a/checkpoint-500" not in card


def test_a_shared_vector_does_not_tell_where_the_owner_keeps_the_model(
    here: Path, command: Command
) -> None:
    assert command(*f"sweep --model {here}/tiny {COUNTS} -q".split()).code == 0
    folder = icl.share("out", "shared")
    for file in folder.iterdir():
        assert str(here).encode() not in file.read_bytes()
    shared = icl.TaskVector.load(next(folder.glob("*.safetensors")))
    assert (shared.model, shared.from_folder) == ("tiny", True)
    assert icl.apply(icl.load_model("tiny"), shared, ["d"], layer=1)
    assert read_json(Path("out/run.json"))["model"]["from_folder"] is True

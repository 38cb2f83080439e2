import shutil
from pathlib import Path
from typing import Any

import pytest

import icl_vectors as icl
from icl_vectors.cli.main import run
from icl_vectors.cli.run_folders import RunFolders
from icl_vectors.runs.folder import read_json
from tests.tiny import bytes_tokenizer, random_model, save_model

COUNTS = ["--shots", "2", "--dev", "2", "--test", "3", "--layers", "1,2", "--tasks", "to_upper"]
PAIRS, DUMMIES = {"a": "A", "b": "B"}, ["c"]


def places(models: list[str], output: Path | None = None, **options: Any) -> list[Path]:
    planned = RunFolders.plan(output, models, ["float32"], "sweep", **options)
    return [planned.of(reference, "float32") for reference in planned.names]


@pytest.fixture
def here(tmp_path: Path, llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the models tiny, a/checkpoint-500 and b/checkpoint-500."""
    for name in ("tiny", "a/checkpoint-500"):
        shutil.copytree(llama_folder, tmp_path / name)
    save_model(tmp_path / "b" / "checkpoint-500", random_model("gpt2"), bytes_tokenizer())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_local_model_is_named_for_its_folder_however_it_is_written(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ["tiny", "tiny/", "./tiny", str(here / "tiny"), "a/../tiny"]
    assert {path for way in ways for path in places([way])} == {Path("runs/tiny-float32-sweep")}
    assert places(ways) == [Path("runs/tiny-float32-sweep")], "one model, one run"
    monkeypatch.chdir(here / "tiny")
    assert places(["."]) == [Path("runs/tiny-float32-sweep")]


def test_models_of_one_name_and_revisions_have_folders_of_their_own(here: Path) -> None:
    models = ["a/checkpoint-500", "b/checkpoint-500", "tiny"]
    assert places(models, Path("out")) == [
        Path("out/a--checkpoint-500-float32"),
        Path("out/b--checkpoint-500-float32"),
        Path("out/tiny-float32"),
    ]
    assert places(["lab/model"]) == [Path("runs/lab--model-float32-sweep")]
    assert places(["lab/model"], revision="v2") == [Path("runs/lab--model@v2-float32-sweep")]


def test_precisions_are_compared_in_a_folder_of_the_model() -> None:
    for output, models, expected in (
        (Path("d"), ["a/b"], Path("d")),
        (Path("d"), ["a/b", "c"], Path("d/a--b-precision")),
        (None, ["a/b"], Path("runs/a--b-precision")),
    ):
        planned = RunFolders.plan(output, models, ["float32", "bfloat16"], "sweep")
        assert planned.of_precisions("a/b") == expected


def test_two_models_of_one_folder_name_run_in_one_command(here: Path) -> None:
    models = ["--model", "a/checkpoint-500", "--model", "b/checkpoint-500"]
    assert run(["sweep", *models, *COUNTS, "--output", "out", "--quiet"]) == 0
    found = sorted(path.parent.name for path in Path("out").glob("*/results.json"))
    assert found == ["a--checkpoint-500-float32", "b--checkpoint-500-float32"]


def test_a_run_goes_on_by_any_path_of_its_model(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["sweep", "--model", "tiny", *COUNTS, "--output", "out"]
    assert run(first) == 0
    before = Path("out/samples.jsonl").read_bytes()
    capsys.readouterr()
    assert run(["sweep", "--model", str(here / "tiny"), *COUNTS, "--output", "out"]) == 0
    assert "All 1 were finished before." in capsys.readouterr().err
    assert Path("out/samples.jsonl").read_bytes() == before
    words = ["vocabulary", "--tasks", "to_upper", "--test", "3", "--output", "out", "--quiet"]
    assert run([*words, "--model", "./tiny"]) == 0
    capsys.readouterr()
    assert run(["sweep", "--model", "b/checkpoint-500", *COUNTS, "--output", "out"]) == 2
    assert "model: fingerprint" in capsys.readouterr().err


def test_a_folder_s_name_is_never_taken_for_a_hub_id(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theta = icl.extract(icl.load_model("a/checkpoint-500"), PAIRS, DUMMIES)
    theta.save("theta.safetensors")
    assert theta.from_folder and icl.TaskVector.load("theta.safetensors").from_folder
    assert run(["apply", "theta.safetensors", "--info"]) == 0
    assert "a/checkpoint-500 (a folder)" in capsys.readouterr().out
    shutil.rmtree("a")
    assert run(["apply", "theta.safetensors", "d", "--layer", "1"]) == 2
    told = capsys.readouterr().err
    assert "its model was in the folder a/checkpoint-500, found no such folder here" in told
    folder = icl.share([theta], "shared")
    card = (folder / "README.md").read_text("utf-8")
    assert "base_model" not in card and "a/checkpoint-500" not in card


def test_a_shared_vector_does_not_tell_where_the_owner_keeps_the_model(here: Path) -> None:
    assert run(["sweep", "--model", str(here / "tiny"), *COUNTS, "--output", "out", "-q"]) == 0
    folder = icl.share("out", "shared")
    for file in folder.iterdir():
        assert str(here).encode() not in file.read_bytes()
    shared = icl.TaskVector.load(next(folder.glob("*.safetensors")))
    assert (shared.model, shared.from_folder) == ("tiny", True)
    assert icl.apply(icl.load_model("tiny"), shared, ["d"], layer=1)
    assert read_json(Path("out/run.json"))["model"]["from_folder"] is True

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.runs.schema import METHODS
from icl_vectors.vectors.vector import TaskVector
from tests.vectors.test_vectors import vector


@pytest.fixture(scope="module")
def run(llama: icl.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sweep's folder."""
    folder = tmp_path_factory.mktemp("sweep")
    icl.sweep(llama, "to_upper,list_first", output=folder, dev=3, test=4)
    return folder


def test_a_run_s_vectors_are_shared(llama: icl.Model, run: Path, tmp_path: Path) -> None:
    folder = icl.share(run, tmp_path / "shared")
    files = sorted(file.name for file in folder.iterdir())
    assert files == ["README.md", "list_first.seed41.safetensors", "to_upper.seed41.safetensors"]
    for name in files[1:]:
        shared, own = TaskVector.load(folder / name), TaskVector.load(run / "vectors" / name)
        assert torch.equal(shared.vectors, own.vectors)
        assert (shared.task, shared.fingerprint) == (own.task, own.fingerprint)
    card = (folder / "README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: icl_vectors\n")
    assert llama.fingerprint in card and "`{input}→{output}`" in card
    (row,) = [line for line in card.splitlines() if "`to_upper.seed41.safetensors`" in line]
    theta = TaskVector.load(folder / "to_upper.seed41.safetensors")
    results = icl.sweep(llama, "to_upper,list_first", output=run, dev=3, test=4).data
    (entry,) = [one for one in results["tasks"] if one["task"] == "to_upper"]
    wilson = ("{accuracy:.2f} [{low:.2f}, {high:.2f}]".format(**entry[m]) for m in METHODS)
    verdict = "; ".join(entry["fails"]) or "yes"
    assert f"| to\\_upper | {theta.best_layer} | {' | '.join(wilson)} | 4 | {verdict} |" in row
    assert entry["fails"], "a random model does no task"


def test_the_card_shows_the_vector_that_works_best(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    results = json.loads((copy / "results.json").read_text("utf-8"))
    (entry,) = [one for one in results["tasks"] if one["task"] == "to_upper"]
    entry["hypothesis"] |= {"accuracy": 1.0, "high": 1.0}
    (copy / "results.json").write_text(json.dumps(results), "utf-8")
    card = (icl.share(copy, tmp_path / "shared") / "README.md").read_text("utf-8")
    assert 'TaskVector.load("to_upper.seed41.safetensors")' in card


def test_the_cards_own_words_run(llama: icl.Model, run: Path, tmp_path: Path) -> None:
    one = TaskVector.load(run / "vectors" / "to_upper.seed41.safetensors").only([3])
    for source in (run, [replace(one, best_layer=None)]):
        require_that_the_card_runs(llama, icl.share(source, tmp_path / f"{type(source)}"))


def require_that_the_card_runs(llama: icl.Model, folder: Path) -> None:
    code = (folder / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    assert llama.folder is not None
    code = code.replace(f'"{llama.folder.name}"', repr(str(llama.folder)))
    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(code, names)  # the card promises that it runs
    assert isinstance(names["theta"], TaskVector)


def test_vectors_alone_are_shared_too(tmp_path: Path, attempts: list[object]) -> None:
    folder = icl.share([vector(), vector(task="a/b")], tmp_path / "new")
    files = {file.name for file in folder.glob("*.safetensors")}
    assert files == {"capitals.0.safetensors", "a_b.1.safetensors"}
    assert "base_model: some/model" in (folder / "README.md").read_text("utf-8")
    assert attempts == [], "nothing is pushed unasked"
    with pytest.raises(IclVectorsError, match="expected task vectors to share, found none"):
        icl.share([], tmp_path / "other")
    other = replace(vector(), fingerprint="xyz", model="other/model")
    with pytest.raises(IclVectorsError, match="found some/model and other/model"):
        icl.share([vector(), other], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_push_that_the_hub_refuses_leaves_the_folder(
    tmp_path: Path, attempts: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match="push to not a name: refused .*the folder .* is complete"):
        icl.share([vector()], tmp_path / "one", push_to="not a name")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(RunError, match="push to me/mine: refused"):
        icl.share([vector()], tmp_path / "two", push_to="me/mine")
    assert (tmp_path / "two" / "README.md").is_file()
    assert attempts == []

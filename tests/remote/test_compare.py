"""Every method and control on the real server, beside the same here."""

from pathlib import Path
from typing import Any

import pytest

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.compare import compare
from icl_vectors.models.load import Model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records

SETTINGS: dict[str, Any] = {"dev": 2, "test": 2, "arrows": "->", "shots_curve": "0,2,5"}
TASKS = ["to_upper", "letter_case_both"]
FIGURES = ("accuracy", "rank", "choice", "dev_accuracy", "layer_tokens", "layer_tokens_choosing")


def test_every_method_gives_what_it_gives_here(
    llama: Model, remote_llama: Model, tmp_path: Path, trust: str
) -> None:
    tasks = TASKS if trust == "trusted" else TASKS[:1]  # a sandbox takes seconds a job
    folders = tmp_path / "there", tmp_path / "here"
    for model, folder in zip((remote_llama, llama), folders, strict=True):
        compare(model, tasks, output=folder, **SETTINGS)
    there, here = (read_json(folder / "results.json") for folder in folders)
    for part in ("compare", "compare_arrows", "compare_shots"):
        assert len(there[part]) == len(here[part]) > 0
        for mine, theirs in zip(here[part], there[part], strict=True):
            about = {key: mine.get(key) for key in ("task", "method", "arrow", "shots", *FIGURES)}
            assert {key: theirs.get(key) for key in about} == about
            for key in ("log_probability", "total_variation", "divergence"):
                assert theirs[key] == pytest.approx(mine[key], abs=2e-4)
    of_heads = [read_json(folder / "heads.json")["ranked"] for folder in folders]
    for theirs, mine in zip(*of_heads, strict=True):
        assert theirs["effect"] == pytest.approx(mine["effect"], abs=1e-5)
    samples = [read_lines(folder / "samples.jsonl") for folder in folders]
    for theirs, mine in zip(*samples, strict=True):
        assert theirs["prediction"] == mine["prediction"]


def test_a_method_on_a_task_is_one_job_and_its_controls_another(
    remote_llama: Model, tmp_path: Path
) -> None:
    found = compare(remote_llama, TASKS, "state,function", output=tmp_path, dev=2, test=2)
    done = [record for record in read_records(tmp_path) if record["event"] == "done"]
    assert [len(record["jobs"]) for record in done] == [1] * len(done)
    assert len(done) == 2 * (1 + 2 + 2 * 2)  # heads, regular and zero-shot, methods and controls
    summary = {one["method"]: one["jobs"] for one in found.data["compare_summary"]}
    assert summary == {"regular": 2, "zero-shot": 2, "state": 2, "function": 2}


def test_linear_is_fitted_there_and_learned_is_refused(
    remote_llama: Model, llama: Model, tmp_path: Path, trust: str
) -> None:
    asked: dict[str, Any] = {"dev": 6, "test": 4, "layers": "1,3"}
    tasks = ["antonyms"]
    there, here = (
        compare(model, tasks, "linear", output=tmp_path / name, **asked).data["compare"]
        for model, name in ((remote_llama, "there"), (llama, "here"))
    )
    for theirs, mine in zip(there, here, strict=True):
        about = {key: mine.get(key) for key in ("task", "method", *FIGURES)}
        assert {key: theirs.get(key) for key in about} == about
        assert theirs["log_probability"] == pytest.approx(mine["log_probability"], abs=2e-4)
    with pytest.raises(IclVectorsError, match="'learned': expected a model on this machine"):
        compare(remote_llama, tasks, "learned", output=tmp_path / "learned", **asked)
    assert not (tmp_path / "learned").exists()

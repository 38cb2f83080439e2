from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.experiments.precision import CrossPrecision
from icl_vectors.models.load import Model, load_model
from icl_vectors.runs.files import read_lines
from tests.tiny import bytes_tokenizer, load_plain
from tests.twins import plain
from tests.twins.prompts import Prompt, accepted_tokens, as_twin, dummy_ids, query_ids

DTYPES = ("float32", "bfloat16", "nf4")
TASKS = ["to_upper", "list_first"]
N = 6


@pytest.fixture(scope="module")
def models(wide_folder: Path) -> dict[str, Model]:
    return {dtype: load_model(str(wide_folder), dtype=dtype) for dtype in DTYPES}


@pytest.fixture(scope="module")
def run(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "float32"
    icl.sweep(models["float32"], TASKS, output=output, dev=N, test=N)
    return output


@pytest.fixture(scope="module")
def crossed(models: dict[str, Model], run: Path) -> dict[str, Any]:
    cross = CrossPrecision(run)
    for model in models.values():
        cross.read_thetas(model)
    for model in models.values():
        cross.inject(model)
    return cross.results()


def test_every_precision_gives_to_every_other_on_every_task(crossed: dict[str, Any]) -> None:
    found = [(cell["giver"], cell["receiver"], cell["task"]) for cell in crossed["cells"]]
    assert sorted(found) == sorted((a, b, task) for a in DTYPES for b in DTYPES for task in TASKS)
    assert (crossed["reference"], crossed["dtypes"]) == ("float32", list(DTYPES))
    assert {cell["n"] for cell in crossed["cells"]} == {N}


@pytest.mark.parametrize(("giver", "receiver"), [("float32", "float32"), ("bfloat16", "float32")])
def test_hits_are_those_of_plain_hooks(
    crossed: dict[str, Any], wide_folder: Path, run: Path, giver: str, receiver: str
) -> None:
    tokenizer = bytes_tokenizer()
    reads, answers = (
        load_plain(wide_folder).to(getattr(torch, each)) for each in (giver, receiver)
    )
    for task in TASKS:
        named = {"giver": giver, "receiver": receiver, "task": task}
        (cell,) = [one for one in crossed["cells"] if one.items() >= named.items()]
        hits = 0
        for prompt in twins_of(run, task):
            theta = plain.theta(reads, dummy_ids(tokenizer, prompt))[cell["layer"]]
            token = plain.injected(answers, query_ids(tokenizer, prompt), cell["layer"], theta)
            hits += token in accepted_tokens(tokenizer, prompt)
        assert cell["hits"] == hits
        assert cell["accuracy"] == pytest.approx(hits / N)


def twins_of(run: Path, task: str) -> list[Prompt]:
    lines = [SimpleNamespace(**line) for line in read_lines(run / "prompts.jsonl")]
    return [as_twin(one) for one in lines if (one.task, one.split) == (task, "test")]


def test_theta_in_nf4_differs_but_points_the_same_way(models: dict[str, Model], run: Path) -> None:
    cross = CrossPrecision(run)
    for dtype in ("float32", "nf4"):
        cross.read_thetas(models[dtype])
    for unit, theta in cross._thetas["float32"].items():
        other = cross._thetas["nf4"][unit]
        assert not torch.equal(theta, other)
        assert torch.cosine_similarity(theta, other).mean() > 0.8


@pytest.mark.parametrize("source", ["demonstrations", "instruction"])
def test_theta_is_read_after_what_the_sweep_read_it_after(
    models: dict[str, Model], tmp_path: Path, source: str
) -> None:
    counts: Any = {"dev": N, "test": N, "theta_source": source}
    swept = icl.sweep(models["float32"], TASKS, output=tmp_path / "run", **counts)
    cross = CrossPrecision(tmp_path / "run")
    cross.read_thetas(models["float32"])
    for (task, seed), thetas in cross._thetas["float32"].items():
        vector = swept.vectors[task, seed]
        torch.testing.assert_close(thetas.mean(0), vector.at(cross._layers[task, seed]))


def test_another_model_is_refused(run: Path, llama: Model) -> None:
    with pytest.raises(icl.IclVectorsError, match="expected the same checkpoint in another dtype"):
        CrossPrecision(run).read_thetas(llama)

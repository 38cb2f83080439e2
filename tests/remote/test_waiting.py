import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import icl_vectors as icl
from icl_vectors.errors import OutOfMemory, RunError
from icl_vectors.experiments.observer import Observer
from icl_vectors.model import Model
from icl_vectors.models import load_model
from icl_vectors.remote.backend import PatientBackend
from icl_vectors.remote.job import Job, Patience
from icl_vectors.run_folder import read_records
from tests.ndif.server import NdifServer
from tests.remote.test_kill import COUNTS, require_unbroken, slow_folder, unbroken

__all__ = ["slow_folder", "unbroken"]  # fixtures
TASK = "to_upper"


class Told:
    """A job that keeps what it is told."""

    def __init__(self, known: str | None = None, **patience: float) -> None:
        self.sent: list[str] = []
        self.told: list[str] = []
        waits: Any = patience
        self.job = Job(
            known=known,
            submitted=self.sent.append,
            tell=self.told.append,
            patience=Patience(longest_pause=0.5, **waits),
        )


def add(model: Model, job: Job, one: Any) -> Any:
    """A job as small as can be."""
    with model.session(job):
        found = {"two": one + 1}
        found = found.save()  # type: ignore[attr-defined]
    return found["two"]


def fail(model: Model, job: Job) -> None:
    with model.session(job):
        found = [1][5].save()  # type: ignore[attr-defined]
    del found


def allocate(model: Model, job: Job, size: int) -> None:
    with model.session(job):
        found = {"huge": torch.empty(size)}
        found = found.save()  # type: ignore[attr-defined]


def test_a_job_is_sent_once_and_its_answer_is_put_into_the_variables(remote_llama: Model) -> None:
    told = Told()
    assert add(remote_llama, told.job, torch.ones(2)).equal(torch.full((2,), 2.0))
    assert len(told.sent) == 1
    [cost] = told.job.costs
    assert cost.job == told.sent[0] and cost.bytes_up > 0 and cost.bytes_down > 0


def test_a_job_that_was_sent_before_is_not_sent_again(remote_llama: Model) -> None:
    before, again = Told(), None
    add(remote_llama, before.job, torch.ones(1))
    again = Told(known=before.sent[0])
    assert add(remote_llama, again.job, torch.ones(1)).item() == 2
    assert again.sent == []
    assert again.job.costs[0].bytes_up == 0


def test_a_job_that_the_server_does_not_know_is_sent_again(remote_llama: Model) -> None:
    told = Told(known="0" * 32, unknown=1.0)
    assert add(remote_llama, told.job, torch.ones(1)).item() == 2
    assert len(told.sent) == 1
    assert f"{remote_llama.host} knows nothing of the job; sending it again" in told.told


def test_a_job_that_fails_is_one_line_and_only_an_old_one_is_tried_again(
    remote_llama: Model,
) -> None:
    told = Told()
    with pytest.raises(RunError, match=r"the job failed on http.*: IndexError: list index out"):
        fail(remote_llama, told.job)
    assert len(told.sent) == 1
    old = Told(known=told.sent[0])
    assert add(remote_llama, old.job, torch.ones(1)).item() == 2
    assert "the job that was sent before had failed; sending it again" in old.told


def test_memory_that_runs_out_there_is_told_apart(remote_llama: Model) -> None:
    with pytest.raises(OutOfMemory, match="ran out of memory: RuntimeError"):
        allocate(remote_llama, Told().job, 1 << 50)


def test_a_server_out_of_reach_is_one_line_within_the_bound(reachable: set[Any]) -> None:
    reachable.add(("127.0.0.1", 28003))  # where nobody listens

    class Away:
        def to_model_key(self) -> str:
            return "any"

        def _remoteable_get_env(self) -> dict[str, Any]:
            return {}

    told = Told(known="0" * 32, unreachable=1.0)
    backend = PatientBackend(Away(), "http://127.0.0.1:28003", told.job)
    with pytest.raises(RunError, match=r"could not be reached \(ConnectError\); what was finished"):
        backend()
    assert told.told.count("the server can't be reached; trying again") >= 1


class Notices(Observer):
    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


def test_a_task_that_takes_longer_than_a_job_may_is_split_by_layers(
    ndif: NdifServer, slow_folder: Path, unbroken: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(slow_folder, tmp_path / "slow")
    ndif.deploy(str(copy), execution_timeout_seconds=1.5)
    model, notices = load_model(str(copy), remote=ndif.host), Notices()
    run: dict[str, Any] = {"output": tmp_path / "run", "observer": notices, **COUNTS}
    icl.sweep(model, ["to_upper", "next_letter", "list_first"], **run)
    assert any("exceeded the execution timeout of 1.5s" in text for text in notices.said)
    require_unbroken(tmp_path / "run", unbroken)
    done = [record for record in read_records(tmp_path / "run") if record["event"] == "done"]
    assert max(len(record["jobs"]) for record in done) >= 3

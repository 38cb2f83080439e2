import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from icl_vectors.engine.parts import run_in_parts
from icl_vectors.errors import OutOfMemory, RunError
from icl_vectors.graph.task import run_task
from icl_vectors.models.load import load_model
from icl_vectors.models.model import Model
from icl_vectors.prompts.batches import Way, make_batches
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.remote.backend import PatientBackend
from icl_vectors.remote.job import Job, JobCost, Patience
from icl_vectors.tasks.task import load_task
from tests.ndif.server import NdifServer
from tests.test_remote_answers import Away


class Told:
    """A job that keeps what it is told."""

    def __init__(self, known: str | None = None, **patience: float) -> None:
        self.sent: list[str] = []
        self.told: list[str] = []
        self.costs: list[JobCost] = []
        waits: Any = patience
        self.job = Job(
            known=JobCost(known) if known else None,
            submitted=lambda cost: self.sent.append(cost.job),
            answered=lambda cost, answer: self.costs.append(cost),
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
    [cost] = told.costs
    assert cost.job == told.sent[0] and cost.bytes_up > 0 and cost.bytes_down > 0


def test_a_job_that_was_sent_before_is_not_sent_again(remote_llama: Model) -> None:
    before, again = Told(), None
    add(remote_llama, before.job, torch.ones(1))
    again = Told(known=before.sent[0])
    assert add(remote_llama, again.job, torch.ones(1)).item() == 2
    assert again.sent == []
    assert again.costs[0].bytes_up == 0


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

    told = Told(known="0" * 32, unreachable=1.0)
    backend = PatientBackend(Away(), "http://127.0.0.1:28003", told.job)
    with pytest.raises(RunError, match=r"could not be reached \(ConnectError\); what was finished"):
        backend()
    assert told.told.count("the server can't be reached; trying again") >= 1


def sleep(model: Model, job: Job) -> None:
    """A job that takes a minute."""
    with model.session(job):
        for _ in range(600):
            time.sleep(0.1)
        found = torch.ones(1).save()  # type: ignore[attr-defined]
    del found


def test_a_task_that_takes_longer_than_a_job_may_is_split_by_layers(
    ndif: NdifServer, llama: Model, llama_folder: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(llama_folder, tmp_path / "limited")
    ndif.deploy(str(copy), execution_timeout_seconds=10)
    there = load_model(str(copy), remote=ndif.host)
    dev, test = (
        [encode_prompt(llama.tokenizer, Template(), prompt, 500) for prompt in prompts]
        for prompts in sample_prompts(load_task("to_upper"), dev=5, test=4)
    )
    jobs: list[list[int]] = []

    def run(model: Model, with_dev: bool, with_test: bool, layers: Sequence[int]) -> dict[str, Any]:
        on_dev = make_batches(dev, 2, Way(True), with_query=False) if with_dev else []
        on_test = make_batches(test, 2, Way(True)) if with_test else []
        return run_task(model, on_dev, on_test, layers)

    def limited(with_dev: bool, with_test: bool, layers: Sequence[int]) -> dict[str, Any]:
        if len(layers) > 2:
            sleep(there, Told().job)
        jobs.append(list(layers))
        return run(there, with_dev, with_test, layers)

    logged: list[str] = []
    found = run_in_parts(limited, dev, [0, 1, 2, 3], logged.append)
    expected = run(llama, True, True, [0, 1, 2, 3])
    assert jobs[:2] == [[0, 1], [2, 3]] and len(jobs) == 3
    assert "exceeded the execution timeout of 10" in logged[0]
    for name in expected:
        assert torch.equal(torch.as_tensor(found[name]), torch.as_tensor(expected[name])), name

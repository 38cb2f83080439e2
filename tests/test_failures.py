import httpx
import pytest

from icl_vectors.errors import IclVectorsError, OutOfMemory, OutOfTime, RunError
from icl_vectors.remote.failures import JobFailed, JobLost, failure_of, is_passing, refused
from icl_vectors.remote.job import Job
from icl_vectors.remote.shapes import require_shapes

HOST = "http://127.0.0.1:5001"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Traceback …\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate", OutOfMemory),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", OutOfMemory),
        ("Your job exceeded the execution timeout of 300s.", OutOfTime),
        ("Traceback …\n  File …\nKeyError: 'x'\n", JobFailed),
        ("", JobFailed),
    ],
)
def test_a_failed_job_is_told_apart_by_what_helps(text: str, kind: type[RunError]) -> None:
    failure = failure_of(text, HOST)
    assert type(failure) is kind
    assert str(failure).startswith((HOST, "the job failed on")) and "\n" not in str(failure)


@pytest.mark.parametrize(
    "text",
    [
        "Your job was cancelled or preempted by the server.",
        "Error provisioning model. Please try again later. Sorry for the inconvenience.",
    ],
)
def test_a_job_that_the_server_gave_up_is_to_be_sent_again(text: str) -> None:
    with pytest.raises(JobLost, match="gave the job up"):
        failure_of(text, HOST)


def test_a_server_that_is_not_there_or_fails_passes_and_a_refusal_does_not() -> None:
    request = httpx.Request("GET", HOST)
    assert is_passing(httpx.ConnectError("refused"))
    assert is_passing(httpx.ReadTimeout("slow"))
    statuses = {
        status: is_passing(
            httpx.HTTPStatusError("", request=request, response=httpx.Response(status))
        )
        for status in (400, 401, 404, 500, 503)
    }
    assert statuses == {400: False, 401: False, 404: False, 500: True, 503: True}
    assert not is_passing(ValueError())


def test_a_refused_key_is_the_users_to_mend() -> None:
    for status in (401, 403):
        response = httpx.Response(status, request=httpx.Request("POST", HOST))
        error = httpx.HTTPStatusError("", request=response.request, response=response)
        shown = refused(error, HOST)
        assert type(shown) is IclVectorsError and "asks for a valid API key" in str(shown)


def test_an_answer_of_another_shape_is_refused_and_its_job_dismissed() -> None:
    import torch

    dismissed: list[bool] = []
    job = Job(dismissed=lambda: dismissed.append(True))
    require_shapes({"theta": torch.zeros(4, 8)}, {"theta": (4, 8)}, job)
    assert not dismissed
    for found in ({"theta": torch.zeros(4, 1)}, {"theta": 3}, {}):
        with pytest.raises(RunError, match=r"gave theta as .*, expected \(4, 8\)"):
            require_shapes(found, {"theta": (4, 8)}, job)
    assert len(dismissed) == 3

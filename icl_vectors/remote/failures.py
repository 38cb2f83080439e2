"""What can go wrong with a job, told apart: what passes, what is lost, what the user can mend."""

import httpx

from icl_vectors.errors import IclVectorsError, OutOfMemory, OutOfTime, RunError
from icl_vectors.remote.preflight import HOW_TO_SET_A_KEY
from icl_vectors.remote.server import api_key

OF_MEMORY = ("out of memory", "outofmemory", "can't allocate memory", "not enough memory")
OF_TIME = ("exceeded the execution timeout",)
DROPPED = ("cancelled or preempted", "try again later", "sorry for the inconvenience", "actordied")
LONGEST = 300  # characters of a server's message that are shown


class JobLost(Exception):
    """The server does not know the job or its answer any more, or gave it up; send it again."""


class JobFailed(RunError):
    """The job failed for a reason that lies in it, or in the server's packages."""


def is_passing(error: BaseException) -> bool:
    """Whether asking again may help: no connection, or a server error."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500
    if isinstance(error, httpx.TransportError):
        return True
    return error.__cause__ is not None and is_passing(error.__cause__)


def refused(error: BaseException, host: str) -> IclVectorsError:
    """The error for a request that a server would not take, or that never reached it."""
    cause, status = _cause(error), status_of(error)
    if status is None:
        return RunError(
            f"{host} could not be reached ({type(cause).__name__}); what was finished is kept, "
            "the same command goes on."
        )
    if status in (401, 403) or (status == 400 and "api key" in str(error).lower()):
        return IclVectorsError(f"{host} asks for a valid API key ({status}); {HOW_TO_SET_A_KEY}.")
    said = _one_line(str(error).removeprefix("Failed to send request: "))
    kind = RunError if status >= 500 else IclVectorsError
    return kind(f"{host} did not take the job ({status}): {said}")


def status_of(error: BaseException) -> int | None:
    """The HTTP status of a refusal; None where the server was not reached."""
    cause = _cause(error)
    return cause.response.status_code if isinstance(cause, httpx.HTTPStatusError) else None


def _cause(error: BaseException) -> BaseException | None:
    return error if isinstance(error, httpx.HTTPError) else error.__cause__


def failure_of(text: str, host: str) -> RunError:
    """The error for a job that failed on the server, from the text that it gave.

    Raises:
        JobLost: the server gave the job up through no fault of the job's.
    """
    lowered = text.casefold()
    last = _one_line(text)
    if any(mark in lowered for mark in OF_MEMORY):
        return OutOfMemory(f"{host} ran out of memory: {last}")
    if any(mark in lowered for mark in OF_TIME):
        return OutOfTime(f"{host} ended the job: {last}")
    if any(mark in lowered for mark in DROPPED):
        raise JobLost(f"{host} gave the job up ({last})")
    return JobFailed(f"the job failed on {host}: {last}")


def _one_line(text: str) -> str:
    """The last line that says something (of a traceback, the exception), without the key."""
    if key := api_key():
        text = text.replace(key, "…")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "no reason given")[:LONGEST]

"""A session as one job on an NDIF server: sent once, waited for, picked up again, never guessed at.

nnsight's own client waits without a bound and does not ask twice; this one does. The traces go
over whole: `passes` and the methods are registered to travel by value, so that the server needs not
know this package.
"""

import io
from time import monotonic, sleep
from typing import Any

import httpx
import nnsight
import torch
import zstandard
from nnsight.intervention.backends.remote import RemoteBackend, RemoteError
from nnsight.schema.request import RequestModel
from nnsight.schema.response import ResponseModel, Status
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential,
)

from icl_vectors.errors import RunError
from icl_vectors.remote import by_value
from icl_vectors.remote.failures import (
    JobFailed,
    JobLost,
    failure_of,
    is_passing,
    refused,
    status_of,
)
from icl_vectors.remote.job import Job, JobCost, Pending, Refused

FIRST_PAUSE = 0.25  # seconds
ENDED = (Status.ERROR, Status.COMPLETED)
FULL = (429, 503)  # no more jobs are taken now
GONE = (403, 404, 410)  # of a result: its address has run out, or the store has lost it


class PatientBackend(RemoteBackend):  # type: ignore[misc]
    """Runs a session on a server and puts what it saved into the caller's variables."""

    def __init__(self, language_model: Any, host: str, job: Job) -> None:
        for module in by_value.MODULES:
            nnsight.register(module)
        super().__init__(
            language_model.to_model_key(),
            host=host,
            env=language_model._remoteable_get_env(),
            blocking=False,
            job_id=job.known.job if job.known else None,
        )
        self.cost = job.known
        self.display.enabled = False  # the observer shows the states
        self.job = job
        self.pause = FIRST_PAUSE
        self._watch_anew()

    def __call__(self, tracer: Any = None) -> Any:
        result = self.job.answer
        if result is None:
            result, cost = self._run(tracer)
            cost.seconds = round(monotonic() - cost.begun, 3)
            self.job.answered(cost, result)
        self._push(result, tracer)
        return result

    def finalize(self, content: bytes) -> Any:
        """The answer, as tensors and plain values: a server's word is data, never code.

        Raises:
            RunError: it is damaged, or holds something else.
        """
        try:
            if self.compress:
                with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)) as stream:
                    content = stream.read()
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # whatever bytes can do to zstandard and torch
            self.job.dismissed()
            raise RunError(
                f"{self.host} answered job {self._id} with something that is no set of tensors "
                f"({type(error).__name__}); nothing of it was kept, the same command asks again."
            ) from error

    def _run(self, tracer: Any) -> tuple[dict[str, Any], JobCost]:
        """Send the job, unless it was sent before, and wait; send again what the server lost."""
        picked_up = self.cost is not None and not self.cost.bytes_up
        if picked_up:
            self.job.tell("picked up again, not sent")
        for _ in range(self.job.patience.submissions - self.job.sent + (self.cost is not None)):
            if self.cost is None:
                self._send(self._serialize(tracer))
            try:
                if not self.job.waits and not self._look_for_end():
                    raise Pending(self._has_ended)
                return self._wait()
            except JobLost as error:
                self.job.tell(f"{error}; sending it again")
            except JobFailed:
                if not picked_up:
                    raise
                self.job.tell("the job that was sent before had failed; sending it again")
            self.cost, picked_up = None, False
        raise RunError(
            f"{self.host} lost or dropped a job {self.job.patience.submissions} times; "
            "what was finished is kept, the same command goes on later."
        )

    @property
    def _id(self) -> str:
        return self.cost.job if self.cost else ""

    def _send(self, blob: bytes) -> None:
        request = RequestModel(model_key=self.model_key, compress=self.compress, env=self.env)
        try:
            response = self._persist(lambda: self._post(request, blob))
        except RemoteError as error:
            if status_of(error) in FULL and not self.job.waits:
                raise Refused(refused(error, self.host)) from error
            raise refused(error, self.host) from error
        self.cost = JobCost(response.id, len(blob))
        self._watch_anew()
        self.job.submitted(self.cost)

    def _watch_anew(self) -> None:
        """Forget what was heard of an earlier job; the next one has its whole time."""
        self.said, self.silent_since, self.is_known = "", monotonic(), False

    def _wait(self) -> tuple[dict[str, Any], JobCost]:
        """Ask for the job's state with growing pauses until its answer is there."""
        while True:
            response = self._look()
            if response is not None and response.status == Status.ERROR:
                raise failure_of(response.description, self.host)
            if response is not None and response.status == Status.COMPLETED:
                return self._fetch(response.data)
            sleep(self.pause)
            self.pause = min(self.pause * 1.5, self.job.patience.longest_pause)

    def _has_ended(self) -> bool:
        """Whether the job is done, failed or lost; what was lost is sent again when next asked."""
        try:
            return self._look_for_end()
        except JobLost as error:
            self.job.tell(f"{error}; sending it again")
            self.job.dismissed()
            return True

    def _look_for_end(self) -> bool:
        response = self._look()
        return response is not None and response.status in ENDED

    def _look(self) -> ResponseModel | None:
        """The job's state, asked once.

        Raises:
            JobLost: the server knows nothing of it, no more, or has long said nothing new.
        """
        response = self._persist(self._ask)
        if response is not None and response.status in ENDED:
            return response
        said = "" if response is None else f"{response.status.value} {response.description}"
        if said != self.said:
            self.said, self.silent_since, self.pause = said, monotonic(), FIRST_PAUSE
            self.job.tell(_in_words(response))
        silent = monotonic() - self.silent_since
        if response is None and self.is_known:
            raise JobLost(f"{self.host} has forgotten the job")
        self.is_known = response is not None
        if response is None and silent > self.job.patience.unknown:
            raise JobLost(f"{self.host} knows nothing of the job")
        if silent > self.job.patience.silent:
            raise JobLost(f"{self.host} says nothing new of the job for {silent:.0f} s")
        return response

    def _ask(self) -> ResponseModel | None:
        """The job's latest state, or None where the server has none (yet)."""
        headers = {"ndif-api-key": self.api_key} if self.api_key else {}
        response = httpx.get(f"{self.host}/response/{self._id}", headers=headers, timeout=60.0)
        if response.status_code == 404:
            return None
        response.raise_for_status()
        try:
            return ResponseModel.model_validate_json(response.text)
        except ValueError as error:
            raise RunError(
                f"{self.host} answers no state of the job at /response; is it an NDIF server?"
            ) from error

    def _fetch(self, address: Any) -> tuple[dict[str, Any], JobCost]:
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            self.job.dismissed()
            raise RunError(
                f"{self.host} says that job {self._id} is done, and not where its answer is; "
                "nothing was kept, the same command asks again."
            )

        def fetch() -> bytes:
            response = httpx.get(address, timeout=600.0)
            if response.status_code in GONE:
                raise JobLost("the answer is no longer there")
            response.raise_for_status()
            return response.content

        content, cost = self._persist(fetch), self.cost or JobCost("")
        cost.bytes_down = len(content)
        return self.finalize(content), cost

    def _persist(self, call: Any) -> Any:
        """Call again, with growing pauses, while the server can't be reached."""
        patience = self.job.patience
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=wait_exponential(multiplier=FIRST_PAUSE, max=patience.longest_pause),
            stop=stop_after_delay(patience.unreachable),
            before_sleep=self._is_away,
            reraise=True,
        )
        try:
            return retrying(call)
        except httpx.HTTPError as error:
            raise refused(error, self.host) from error

    def _is_away(self, state: RetryCallState) -> None:
        self.silent_since = monotonic()  # a server that can't be reached has lost nothing yet
        self.job.tell("the server can't be reached; trying again")


def _in_words(response: ResponseModel | None) -> str:
    if response is None:
        return "sent"
    if response.status == Status.QUEUED and response.description:
        return str(response.description).rstrip(".").replace("Added to Queue at", "queued,")
    return str(response.status.value).lower()

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
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from icl_vectors.errors import RunError
from icl_vectors.remote import by_value
from icl_vectors.remote.failures import JobFailed, JobLost, failure_of, is_passing, refused
from icl_vectors.remote.job import Job, JobCost

FIRST_PAUSE = 0.25  # seconds
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
            job_id=job.known,
        )
        self.job_id: str | None = job.known
        self.display.enabled = False  # the observer shows the states
        self.job = job
        self.said = ""

    def __call__(self, tracer: Any = None) -> Any:
        start = monotonic()
        result, cost = self._run(tracer)
        cost.seconds = round(monotonic() - start, 3)
        self.job.costs.append(cost)
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
                f"{self.host} answered job {self.job_id} with something that is no set of tensors "
                f"({type(error).__name__}); nothing of it was kept, the same command asks again."
            ) from error

    def _run(self, tracer: Any) -> tuple[dict[str, Any], JobCost]:
        """Send the job, unless it was sent before, and wait; send again what the server lost."""
        blob = b""
        picked_up = self.job_id is not None
        if picked_up:
            self.job.tell("picked up again, not sent")
        for _ in range(self.job.patience.submissions):
            if self.job_id is None:
                blob = blob or self._serialize(tracer)
                self._send(blob)
            try:
                result, size = self._wait()
                return result, JobCost(str(self.job_id), len(blob), size)
            except JobLost as error:
                self.job.tell(f"{error}; sending it again")
            except JobFailed:
                if not picked_up:
                    raise
                self.job.tell("the job that was sent before had failed; sending it again")
            self.job_id, picked_up = None, False
        raise RunError(
            f"{self.host} lost or dropped a job {self.job.patience.submissions} times; "
            "what was finished is kept, the same command goes on later."
        )

    def _send(self, blob: bytes) -> None:
        request = RequestModel(model_key=self.model_key, compress=self.compress, env=self.env)
        try:
            response = self._persist(lambda: self._post(request, blob))
        except RemoteError as error:
            raise refused(error, self.host) from error
        self.job_id = response.id
        self.job.submitted(response.id)

    def _wait(self) -> tuple[dict[str, Any], int]:
        """Ask for the job's state with growing pauses until its answer is there."""
        pause, silent_since, known = FIRST_PAUSE, monotonic(), False
        while True:
            response = self._persist(self._ask)
            if response is not None and response.status == Status.ERROR:
                raise failure_of(response.description, self.host)
            if response is not None and response.status == Status.COMPLETED:
                return self._fetch(response.data)
            said = "" if response is None else f"{response.status.value} {response.description}"
            known = known or response is not None
            if said != self.said:
                self.said, silent_since, pause = said, monotonic(), FIRST_PAUSE
                self.job.tell(_in_words(response))
            silent = monotonic() - silent_since
            if response is None and not known and silent > self.job.patience.unknown:
                raise JobLost(f"{self.host} knows nothing of the job")
            if response is None and known:
                raise JobLost(f"{self.host} has forgotten the job")
            if silent > self.job.patience.silent:
                raise JobLost(f"{self.host} says nothing new of the job for {silent:.0f} s")
            sleep(pause)
            pause = min(pause * 1.5, self.job.patience.longest_pause)

    def _ask(self) -> ResponseModel | None:
        """The job's latest state, or None where the server has none (yet)."""
        headers = {"ndif-api-key": self.api_key} if self.api_key else {}
        response = httpx.get(f"{self.host}/response/{self.job_id}", headers=headers, timeout=60.0)
        if response.status_code == 404:
            return None
        response.raise_for_status()
        try:
            return ResponseModel.model_validate_json(response.text)
        except ValueError as error:
            raise RunError(
                f"{self.host} answers no state of the job at /response; is it an NDIF server?"
            ) from error

    def _fetch(self, address: Any) -> tuple[dict[str, Any], int]:
        if not isinstance(address, str) or not address.startswith(("http://", "https://")):
            self.job.dismissed()
            raise RunError(
                f"{self.host} says that job {self.job_id} is done, and not where its answer is; "
                "nothing was kept, the same command asks again."
            )

        def fetch() -> bytes:
            response = httpx.get(address, timeout=600.0)
            if response.status_code in GONE:
                raise JobLost("the answer is no longer there")
            response.raise_for_status()
            return response.content

        content = self._persist(fetch)
        return self.finalize(content), len(content)

    def _persist(self, call: Any) -> Any:
        """Call again, with growing pauses, while the server can't be reached."""
        patience = self.job.patience
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=wait_exponential(multiplier=FIRST_PAUSE, max=patience.longest_pause),
            stop=stop_after_delay(patience.unreachable),
            before_sleep=lambda state: self.job.tell("the server can't be reached; trying again"),
            reraise=True,
        )
        try:
            return retrying(call)
        except httpx.HTTPError as error:
            raise refused(error, self.host) from error


def _in_words(response: ResponseModel | None) -> str:
    if response is None:
        return "sent"
    if response.status == Status.QUEUED and response.description:
        return str(response.description).rstrip(".").replace("Added to Queue at", "queued,")
    return str(response.status.value).lower()

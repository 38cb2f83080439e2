"""The jobs of one unit: recorded before they are waited for, found again by the next process."""

from typing import Any

from icl_vectors.models.model import Model
from icl_vectors.observer import Observer
from icl_vectors.remote.job import Job, JobCost
from icl_vectors.runs.folder import RunFolder, Unit


class Jobs:
    """What a unit sends to a server; on this machine only the record that it began.

    Where a unit takes several jobs (the first one ran out of memory or time), each has a name of
    its own, so that a second process goes the same way and picks each of them up.
    """

    def __init__(self, model: Model, folder: RunFolder, unit: Unit, observer: Observer) -> None:
        self._folder, self._unit, self._observer = folder, unit, observer
        known = folder.jobs_of(unit) if model.host else {}
        self._known = {part: JobCost(job) for part, job in known.items()}
        self._sent: dict[str, int] = {}
        self._answers: dict[str, tuple[JobCost, Any]] = {}
        self._remote, self._waits = model.host is not None, model.in_flight == 1
        if not self._remote:
            folder.submitted(unit)

    def job(self, part: str) -> Job | None:
        """The job of a part of the unit, to be handed to a session."""
        if not self._remote:
            return None

        def submitted(cost: JobCost) -> None:
            self._known[part], self._sent[part] = cost, self._sent.get(part, 0) + 1
            self._folder.submitted(self._unit, job=cost.job, part=part)

        def answered(cost: JobCost, answer: Any) -> None:
            self._answers[part] = cost, answer

        def dismissed() -> None:
            self._known.pop(part, None)
            self._folder.dismissed(self._unit, part=part)

        return Job(
            known=self._known.get(part),
            sent=self._sent.get(part, 0),
            waits=self._waits,
            answer=self._answers.get(part, (None, None))[1],
            submitted=submitted,
            answered=answered,
            dismissed=dismissed,
            tell=lambda text: self._observer.job(*self._unit, text),
        )

    def cost(self) -> dict[str, Any]:
        """What the unit's `done` record says: ids of its jobs, bytes and seconds."""
        if not self._answers:
            return {}
        costs = [cost for cost, _ in self._answers.values()]
        return {
            "job": costs[-1].job,
            "jobs": [cost.job for cost in costs],
            "bytes_up": sum(cost.bytes_up for cost in costs),
            "bytes_down": sum(cost.bytes_down for cost in costs),
            "job_seconds": round(sum(cost.seconds for cost in costs), 3),
        }

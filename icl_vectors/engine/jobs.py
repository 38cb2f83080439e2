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
        self._known = folder.jobs_of(unit) if model.host else {}
        self._costs: list[JobCost] = []
        self._remote = model.host is not None
        if not self._remote:
            folder.submitted(unit)

    def job(self, part: str) -> Job | None:
        """The job of a part of the unit, to be handed to a session."""
        if not self._remote:
            return None

        def submitted(job_id: str) -> None:
            self._folder.submitted(self._unit, job=job_id, part=part)

        def dismissed() -> None:
            self._folder.dismissed(self._unit, part=part)

        return Job(
            dismissed=dismissed,
            known=self._known.get(part),
            submitted=submitted,
            tell=lambda text: self._observer.job(*self._unit, text),
            costs=self._costs,
        )

    def spent(self) -> dict[str, Any]:
        """What stands in the unit's `done` record: ids of its jobs, bytes and seconds."""
        if not self._costs:
            return {}
        return {
            "job": self._costs[-1].job,
            "jobs": [cost.job for cost in self._costs],
            "bytes_up": sum(cost.bytes_up for cost in self._costs),
            "bytes_down": sum(cost.bytes_down for cost in self._costs),
            "job_seconds": round(sum(cost.seconds for cost in self._costs), 3),
        }

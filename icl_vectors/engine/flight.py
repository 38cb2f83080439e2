"""Several units' jobs on a server at once: sent ahead, collected as they come, kept in order."""

from collections.abc import Callable, Iterator, Sequence
from time import sleep
from typing import Generic, TypeVar

from icl_vectors.observer import Log
from icl_vectors.remote.job import Pending, Refused
from icl_vectors.runs.folder import Unit

T = TypeVar("T")
PAUSES = 0.25, 10.0  # seconds between two rounds of questions, at first and at most


class Flight(Generic[T]):
    """Units with what was measured for each, in their order, at most so many on the server.

    A unit is measured once to send its job, which raises `Pending`, and again when the job has
    ended. What ends early waits here for its turn; a process that is killed then finds it on the
    server, whose id is recorded.

    Args:
        measure: raises `Pending` where a job was sent or is not done yet.
        stages: of each unit; those of a later stage begin when all earlier ones are kept.
        limit: units on the server at once; lowered where the server refuses more.
    """

    def __init__(
        self,
        measure: Callable[[Unit], T],
        stages: dict[Unit, int],
        limit: int,
        log: Log,
    ) -> None:
        self.measure, self.stages, self.limit, self.log = measure, stages, limit, log
        self.flying: dict[Unit, Pending] = {}
        self.landed: dict[Unit, T | Exception] = {}
        self.begun: set[Unit] = set()  # and not kept

    def __iter__(self) -> Iterator[tuple[Unit, T]]:
        try:
            yield from self._units(list(self.stages))
        except BaseException:
            if left := len(self.begun):
                self.log(f"{left} job(s) are left on the server; the same command collects them")
            raise

    def _units(self, waiting: list[Unit]) -> Iterator[tuple[Unit, T]]:
        pause = PAUSES[0]
        for unit in list(waiting):
            while unit not in self.landed:
                moved = self._send(waiting, self.stages[unit])
                for other in [one for one, pending in self.flying.items() if pending.has_ended()]:
                    del self.flying[other]
                    self._measure(other)
                    moved = True
                pause = PAUSES[0] if moved else min(pause * 1.5, PAUSES[1])
                if not moved:
                    sleep(pause)
            found = self.landed.pop(unit)
            self.begun.discard(unit)
            if isinstance(found, Exception):
                raise found
            yield unit, found

    def _send(self, waiting: list[Unit], stage: int) -> bool:
        """Send what may go; whether anything went."""
        before = len(waiting)
        while waiting and len(self.flying) < self.limit and self.stages[waiting[0]] <= stage:
            unit = waiting.pop(0)
            try:
                self._measure(unit)
            except Refused as refusal:
                if not self.flying:
                    raise refusal.error from refusal
                self.limit = len(self.flying)
                self.log(f"{refusal.error} Going on with {self.limit} at once.")
                waiting.insert(0, unit)
        return len(waiting) < before

    def _measure(self, unit: Unit) -> None:
        self.begun.add(unit)
        try:
            self.landed[unit] = self.measure(unit)
        except Pending as pending:
            self.flying[unit] = pending
        except Refused:
            self.begun.discard(unit)
            raise
        except Exception as error:  # raised when its turn has come
            self.landed[unit] = error


def one_by_one(measure: Callable[[Unit], T], units: Sequence[Unit]) -> Iterator[tuple[Unit, T]]:
    """The same on this machine, or with one job at a time."""
    for unit in units:
        yield unit, measure(unit)

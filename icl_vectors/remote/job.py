"""One job on a server, as an experiment sees it: what was sent, whom to tell, what it cost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from icl_vectors.observer import Log, silent


@dataclass
class JobCost:
    """What one job took: bytes sent and fetched, and seconds from sending to having the answer."""

    job: str
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0
    begun: float = field(default_factory=monotonic)


class Pending(Exception):
    """A job is on the server and not done; `has_ended()` asks once whether that has changed."""

    def __init__(self, has_ended: Callable[[], bool]) -> None:
        super().__init__()
        self.has_ended = has_ended


class Refused(Exception):
    """The server takes no more jobs now; `error` says so to the user."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Patience:
    """How long a job is waited for.

    Attributes:
        longest_pause: seconds between two questions, at most; they begin at a quarter of one.
        unreachable: seconds that the server may be out of reach before the run stops.
        unknown: seconds that a server in reach may know nothing of a job before it counts as lost.
        silent: seconds that a job may say nothing new before it counts as lost.
        submissions: how often one job is sent at most, where the server loses or drops it.
    """

    longest_pause: float = 10.0
    unreachable: float = 600.0
    unknown: float = 60.0
    silent: float = 3600.0
    submissions: int = 3


@dataclass(frozen=True)
class Job:
    """What a session needs to be one job that a second process can pick up.

    Attributes:
        known: the same job, sent before by this process or one that ended (then without bytes);
            it is not sent again. sent: how often it was.
        waits: whether the job is waited for; else `Pending` is raised until it has ended.
        answer: what it gave, where that was fetched before.
        submitted: is called with it as soon as the server gave an id, before the wait.
        tell: is called with each new state, in words.
        dismissed: is called where the job's answer can't be used; it is not picked up again.
        answered: is called with the job's cost and answer.
    """

    known: JobCost | None = None
    sent: int = 0
    waits: bool = True
    answer: Any = None
    submitted: Callable[[JobCost], None] = lambda cost: None
    answered: Callable[[JobCost, Any], None] = lambda cost, answer: None
    tell: Log = silent
    dismissed: Callable[[], None] = lambda: None
    patience: Patience = Patience()

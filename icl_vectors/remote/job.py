"""One job on a server, as an experiment sees it: what was sent, whom to tell, what it cost."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class JobCost:
    """What one job took: bytes sent and fetched, and seconds from sending to having the answer."""

    job: str
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Patience:
    """How long a job is waited for.

    Attributes:
        longest_pause: seconds between two questions, at most; they begin at a quarter of one.
        unreachable: seconds that the server may be out of reach before the run stops.
        unknown: seconds that the server may know nothing of a job before it counts as lost.
        silent: seconds that a job may say nothing new before it counts as lost.
        submissions: how often one job is sent at most, where the server loses or drops it.
    """

    longest_pause: float = 10.0
    unreachable: float = 600.0
    unknown: float = 30.0
    silent: float = 3600.0
    submissions: int = 3


@dataclass(frozen=True)
class Job:
    """What a session needs to be one job that a second process can pick up.

    Attributes:
        known: the id of the same job, sent before by a process that ended; it is not sent again.
        submitted: is told the id as soon as the server gave one, before the wait.
        tell: is told each new state, in words.
        dismissed: is called where the job's answer can't be used; it is not picked up again.
        costs: one entry a job that gave its answer.
    """

    known: str | None = None
    submitted: Callable[[str], None] = lambda job_id: None
    tell: Callable[[str], None] = lambda text: None
    dismissed: Callable[[], None] = lambda: None
    patience: Patience = Patience()
    costs: list[JobCost] = field(default_factory=list)

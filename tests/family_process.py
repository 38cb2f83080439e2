"""A family in a process of its own: one that hangs or crashes is an outcome like the others."""

import logging
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic

import torch
from transformers.utils import logging as transformers_logging

from icl_vectors.errors import IclVectorsError
from tests.families import NotMade
from tests.family_check import check_family, is_exact

LIMIT = 60.0  # seconds
CONTEXT = get_context("forkserver")  # forks after the imports, which take seconds
CONTEXT.set_forkserver_preload(["tests.family_process"])


@dataclass(frozen=True)
class Outcome:
    """What became of one family's tiny model.

    Attributes:
        result: "runs", "refused", "not made", "too slow", "crash" or "error".
        reason: why not cached, of one that runs; else why it does not run.
        exact: whether every answer and θ equal those of plain hooks.
        projects: "yes", "**no**" or "refused": does θ as words equal the plain model's final norm
            and head?
    """

    family: str
    result: str
    reason: str
    path: str = ""
    exact: bool = False
    projects: str = ""
    seconds: float = 0.0


def try_family(family: str, limit: float = LIMIT) -> Outcome:
    """What a family's tiny model gives, within a limit of seconds."""
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_send, args=(family, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            return Outcome(family, "too slow", f"it takes more than {limit:g} s")
        found: Outcome = receiver.recv()
        return found
    except EOFError:
        process.join()
        return Outcome(family, "crash", f"the process ended with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _send(family: str, sender: Connection) -> None:
    torch.set_num_threads(1)
    logging.disable()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    sender.send(_outcome(family))


def yes(right: bool) -> str:
    """As it stands in a table."""
    return "yes" if right else "**no**"


def _outcome(family: str) -> Outcome:
    start = monotonic()
    try:
        checked = check_family(family)
    except NotMade as reason:
        return Outcome(family, "not made", str(reason))
    except IclVectorsError as refusal:
        return Outcome(family, "refused", str(refusal))
    except Exception as error:  # shown, and no test passes then
        return Outcome(family, "error", f"{type(error).__name__}: {error}".splitlines()[0])
    same = checked.projected and torch.equal(checked.projected[1], checked.projected_by_hand[1])
    return Outcome(
        family,
        "runs",
        checked.model.way_reason,
        path=checked.model.way.name,
        exact=is_exact(checked),
        projects="refused" if same is None else yes(same),
        seconds=round(monotonic() - start, 1),
    )

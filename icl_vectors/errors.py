"""What can go wrong in a way that the user can mend.

IclVectorsError          the user's mistake: a short message, exit 2
├── MissingExtra         a package that an extra installs is not there
├── UnitRefused          one task or pair can't be run; a sweep goes on with the others
└── RunError             the run could not go on: one line, exit 1
    ├── OutOfMemory      … with batches of this size
    └── OutOfTime        … within the time that the server gives one job

A message says what was expected, what was found, and what to do. Imports nothing of the package.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class IclVectorsError(Exception):
    """A mistake that the user can mend; the message says how."""


class MissingExtra(IclVectorsError):
    """A package that is not installed; the message names the command that adds it."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what}: expected {package}, found none; "
            f'install it with: pip install "icl-vectors[{extra}]"'
        )


class UnitRefused(IclVectorsError):
    """A unit that can't be run: one of its prompts can't be encoded; others may be."""


class RunError(IclVectorsError):
    """A run that could not go on: out of memory, a full disk, NaN in the states."""


class OutOfMemory(RunError):
    """Memory ran out, here or on the server; a smaller batch may fit."""


class OutOfTime(RunError):
    """The server ended a job that took too long; a smaller one may pass."""


def not_finite(where: str, dtype: str, device: str) -> RunError:
    """The error for states or logits with NaN or infinity; nothing of that unit is kept."""
    if dtype == "float32":
        hint = "the checkpoint may be damaged"
    else:
        hint = "use --dtype float32" + ("" if dtype == "bfloat16" else " or bfloat16")
    return RunError(
        f"{where} hold NaN or infinity in {dtype} on {device}, nothing was kept; {hint}."
    )


def first_line(error: BaseException, most: int = 200) -> str:
    """What an error of a library says first, or the name of its class where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:most]


def unknown_name(kind: str, name: object, known: Iterable[str]) -> IclVectorsError:
    """The error for a name that is not known, with the known ones, the nearest first."""
    names = sorted(known)
    lowered = {known_name.lower(): known_name for known_name in reversed(names)}
    matches = get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.6)
    nearest = [lowered[match] for match in matches]
    others = [known_name for known_name in names if known_name not in nearest]
    hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
    listed = ", ".join(nearest + others)
    return IclVectorsError(f"unknown {kind} {name!r}.{hint} Known: {listed}.")

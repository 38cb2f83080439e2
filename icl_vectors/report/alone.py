"""One process at a time draws a run: whoever comes later reads what stands there by then.

So a report that was begun while the run went on never replaces the run's own, which is newer.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOENT, ENOSPC
from pathlib import Path

from filelock import FileLock, Timeout

from icl_vectors.errors import IclVectorsError, RunError

LOCK = ".report.lock"  # apart from the lock of the run, which goes on meanwhile
PATIENCE = 600.0  # seconds; what takes long is drawing hundreds of runs
FULL = (ENOSPC, EDQUOT, EFBIG, EIO)


@contextmanager
def drawing_alone(places: Iterable[Path]) -> Iterator[None]:
    """Wait until no other process draws these folders, and keep others waiting meanwhile.

    Raises:
        IclVectorsError: a folder can't be written, or another process draws for too long.
    """
    resolved = sorted({place.resolve() for place in places})  # in one order: no two wait in a ring
    with ExitStack() as held:
        for place in resolved:
            with refused_folders(place):
                held.enter_context(FileLock(place / LOCK, timeout=PATIENCE))
        yield


@contextmanager
def refused_folders(path: Path) -> Iterator[None]:
    """Turn what an operating system says into an error that names the path.

    Raises:
        IclVectorsError: the path can't be written.
        RunError: the disk is full or fails, or the folder was removed.
    """
    try:
        yield
    except Timeout as error:
        raise IclVectorsError(
            f"{path}: another process has been drawing it for {PATIENCE / 60:.0f} minutes; "
            "wait for it, or end it."
        ) from error
    except OSError as error:
        if error.errno == ENOENT:
            raise RunError(f"{path}: its folder was removed while it was drawn.") from error
        told = f"{path}: cannot be written ({error.strerror}); "
        if error.errno in FULL:
            raise RunError(
                f"{told}make room, then give the same command again, or `icl-vectors report`."
            ) from error
        raise IclVectorsError(f"{told}give a folder that can be written.") from error

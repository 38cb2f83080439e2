"""Whether the Hugging Face hub answers, and what of it is in the local cache."""

import time
from pathlib import Path
from threading import Thread

from huggingface_hub import constants, get_session

from icl_vectors.errors import IclVectorsError, first_line
from icl_vectors.remote.proxies import require_usable_proxies

PATIENCE = 5  # seconds that the hub has to answer; names are looked up without a limit of their own
STANDS = 60  # seconds that an answer holds, so that one command asks once
NAMED = 5  # models of the cache that an error names
_asked: dict[str, float | str] = {}  # when, and why it can't be reached: "" where it can


def reach_hub() -> None:
    """Ask the hub once; where it does not answer, what is in the local cache is used at once.

    huggingface_hub would try every file six times over 25 seconds. It is told to be offline until
    the hub answers again; where the user told it so, nothing is asked.

    Raises:
        IclVectorsError: the environment names proxies that can't be used.
    """
    if constants.HF_HUB_OFFLINE and not _asked.get("reason"):
        return
    require_usable_proxies()
    if time.monotonic() - float(_asked.get("when", -STANDS)) < STANDS:
        return
    found = [f"no answer within {PATIENCE} s"]
    constants.HF_HUB_OFFLINE = False  # asking is refused otherwise
    asking = Thread(target=_ask, args=(found,), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    _asked.update(when=time.monotonic(), reason=found[-1])
    constants.HF_HUB_OFFLINE = bool(found[-1])


def _ask(found: list[str]) -> None:
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # of sockets, TLS, proxies, httpx: each says that it is not reached
        found.append(first_line(error, 80))
    else:
        found.append("")


def not_in_the_cache(reference: str, what: str) -> IclVectorsError:
    """Said where the hub is not asked, and the cache lacks a file."""
    held = sorted(
        folder.name.removeprefix("models--").replace("--", "/")
        for folder in Path(constants.HF_HUB_CACHE).glob("models--*")
        if any(folder.glob("snapshots/*/config.json"))
    )
    if reference in held:  # of another revision
        held = [f"{reference} without this revision, or without this file"]
    named = ", ".join(held[:NAMED]) + (f" and {len(held) - NAMED} more" if held[NAMED:] else "")
    reason = _asked.get("reason")
    asked = f"no answer from {constants.ENDPOINT} ({reason})" if reason else "HF_HUB_OFFLINE set"
    return IclVectorsError(
        f"model {reference!r}: expected its {what} from the hub or the local cache, found {asked}, "
        f"and in the cache {named or 'no model'}; connect, or give a folder, a model of the cache, "
        "or an embedded model."
    )

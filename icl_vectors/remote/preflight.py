"""What must hold before the first job is sent; each that fails is one line."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path

from icl_vectors.errors import IclVectorsError
from icl_vectors.remote.server import (
    PUBLIC_HOST,
    Deployment,
    api_key,
    host_of,
    knows_key,
    list_deployments,
    require_server,
    server_versions,
)

HOW_TO_SET_A_KEY = (
    "get one at https://login.ndif.us and set it with: export NDIF_API_KEY=… "
    "(or nnsight.CONFIG.set_default_api_key in Python)"
)
SHOWN = 8  # hosted models that an error names


@dataclass(frozen=True)
class Served:
    """A model on a server, found ready for jobs.

    Attributes:
        repo_id: the name that the server knows it by.
        dtype: what the server holds the weights in; "" where it is not known before a first job.
    """

    host: str
    repo_id: str
    dtype: str


def preflight(remote: bool | str, source: str, revision: str | None) -> Served:
    """Check key, server, versions and model, in this order.

    Args:
        remote: the server's address, or True for the configured one.
        source: a Hugging Face id, or a folder that the server reads too.

    Raises:
        IclVectorsError: no key, no server, other versions, or the model is not hosted.
    """
    host = host_of(remote)
    public = host == PUBLIC_HOST
    if public and not api_key():
        raise IclVectorsError(f"{host} asks for an API key, found none; {HOW_TO_SET_A_KEY}.")
    require_server(host)
    if public and not knows_key(host):
        raise IclVectorsError(f"{host} doesn't know the API key that is set; {HOW_TO_SET_A_KEY}.")
    _require_versions(host)
    return _find(host, source, revision)


def _require_versions(host: str) -> None:
    """nnsight writes the job that the server's nnsight reads: their minor versions must agree."""
    there, here = server_versions(host).get("nnsight"), version("nnsight")
    if there is not None and there.split(".")[:2] != here.split(".")[:2]:
        raise IclVectorsError(
            f"{host} runs nnsight {there}, found {here} here, and jobs of one can't be read by the "
            f'other; install the server\'s: pip install "nnsight=={there}"'
        )


def _find(host: str, source: str, revision: str | None) -> Served:
    hosted = list_deployments(host)
    named = [one for one in hosted if one.repo_id.casefold() == source.casefold()]
    matching = [one for one in named if (one.revision or "main") == (revision or "main")]
    if matching:
        return Served(host, matching[0].repo_id, matching[0].dtype)
    if Path(source).is_dir() and host == PUBLIC_HOST:
        raise IclVectorsError(
            f"model {source!r}: {host} can't read folders of this machine; give the Hugging Face "
            "id of a model that it hosts (icl-vectors models --remote)."
        )
    if Path(source).is_dir():  # a folder that both read: the server opens it when the job comes
        return Served(host, source, "")
    if named:
        held = ", ".join(sorted({one.revision or "main" for one in named}))
        raise IclVectorsError(
            f"model {source!r}: {host} hosts the revision {held}, found {revision or 'main'} asked "
            "for; give --revision accordingly."
        )
    raise _not_hosted(host, source, hosted)


def _not_hosted(host: str, source: str, hosted: list[Deployment]) -> IclVectorsError:
    names = list(dict.fromkeys(one.repo_id for one in hosted))
    if not names:
        return IclVectorsError(f"model {source!r}: {host} hosts no model now; try again later.")
    near = [name for name in names if same_family(name, source)]
    lowered = {name.casefold(): name for name in names}
    near += [lowered[one] for one in get_close_matches(source.casefold(), lowered, n=3)]
    near = list(dict.fromkeys(near))
    shown = (near or names)[:SHOWN]
    hint = f"did you mean {near[0]}? " if near else ""
    what = "of this family it hosts" if near else "it hosts"
    return IclVectorsError(
        f"model {source!r} is not hosted by {host}; {hint}{what}: {', '.join(shown)} "
        f"(all: icl-vectors models --host {host})."
    )


def same_family(one: str, other: str) -> bool:
    """Whether two ids name models of one family: meta-llama/Llama-2-70b, …/Llama-2-7b-hf."""
    return _family(one) == _family(other)


def _family(reference: str) -> str:
    """Owner and name up to the first part that states a size, such as 70b or 2.8b."""
    owner, _, name = reference.casefold().rpartition("/")
    kept: list[str] = []
    for part in name.replace("_", "-").split("-"):
        if part.endswith(("b", "m")) and part[:-1].replace(".", "", 1).isdecimal():
            break
        kept.append(part)
    return f"{owner}/{'-'.join(kept)}"

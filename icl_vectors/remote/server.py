"""What an NDIF server says of itself over HTTP: is it up, what does it host, on which versions.

The key comes from the environment (NDIF_API_KEY) or nnsight's own configuration, is read where a
request is made, and is kept nowhere else.
"""

from dataclasses import dataclass
from typing import Any

import httpx
from nnsight import CONFIG

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.remote.proxies import require_usable_proxies

PUBLIC_HOST = "https://api.ndif.us"
HOSTED = ("HOT", "WARM", "COLD")  # served, in memory, on the server's disk
SECONDS = httpx.Timeout(10.0, read=60.0)


@dataclass(frozen=True)
class Deployment:
    """A model that a server hosts.

    Attributes:
        repo_id: its Hugging Face id, or the folder that the server reads it from.
        level: HOT (served), WARM (in memory) or COLD (on disk).
        state: RUNNING, DEPLOYING, UNHEALTHY …, or "" where the server says none.
        dtype: what the server holds the weights in, or "" where it says nothing.
    """

    repo_id: str
    revision: str | None
    level: str
    state: str
    dtype: str
    n_params: int | None
    job_seconds: float | None


def host_of(remote: bool | str) -> str:
    """The server's address: the one given, else that of NDIF_HOST or nnsight's configuration.

    Raises:
        IclVectorsError: not an http address.
    """
    host = remote if isinstance(remote, str) else str(CONFIG.API.HOST)
    if "@" in host or "?" in host:  # the address is in run.json
        raise IclVectorsError(
            "--host: expected an address without a name, password or key in it, found one with; "
            "a key belongs into the variable NDIF_API_KEY."
        )
    if not host.startswith(("http://", "https://")) or not httpx.URL(host).host:
        raise IclVectorsError(
            f"--host {host!r}: expected an address such as http://127.0.0.1:5001 or {PUBLIC_HOST}."
        )
    return host.rstrip("/")


def api_key() -> str:
    """The key for NDIF, or ""."""
    return str(CONFIG.API.APIKEY or "")


def list_deployments(host: str) -> list[Deployment]:
    """What the server hosts, by name."""
    entries = _get(host, "/status").get("deployments", {}).values()
    found = [_deployment(entry) for entry in entries if entry.get("deployment_level") in HOSTED]
    return sorted(found, key=lambda one: (one.repo_id, HOSTED.index(one.level)))


def server_versions(host: str) -> dict[str, str]:
    """Versions of the packages that the server runs, by name; none where it does not say."""
    return dict((_get(host, "/env", optional=True) or {}).get("packages", {}))


def knows_key(host: str) -> bool:
    """Whether the server knows who the key belongs to (False where it asks for none)."""
    user = _get(host, "/whoami", optional=True)
    return user is None or user.get("email") is not None


def require_server(host: str) -> None:
    """Check that the server answers and that its models can be reached.

    Raises:
        IclVectorsError: nobody answers there, or what answers is no NDIF server.
        RunError: the server is up, but can't reach its models now.
    """
    answer = _get(host, "/ping")
    if answer != "pong":
        raise IclVectorsError(
            f"--host {host}: expected an NDIF server, found something else that answers; "
            "check the address."
        )
    _get(host, "/connected")


def _deployment(entry: dict[str, Any]) -> Deployment:
    return Deployment(
        repo_id=str(entry.get("repo_id")),
        revision=entry.get("revision"),
        level=entry["deployment_level"],
        state=str(entry.get("application_state") or ""),
        dtype=str(entry.get("dtype") or "").removeprefix("torch."),
        n_params=entry.get("n_params"),
        job_seconds=entry.get("execution_timeout_seconds"),
    )


def _get(host: str, path: str, optional: bool = False) -> Any:
    """The JSON that a server gives at a path; None where it need not have the path and has not."""
    require_usable_proxies()
    headers = {"ndif-api-key": key} if (key := api_key()) else {}
    try:
        response = httpx.get(f"{host}{path}", headers=headers, timeout=SECONDS)
        if optional and response.status_code == 404:
            return None
        response.raise_for_status()
        return response.json()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status >= 500:
            raise RunError(
                f"{host} is up but can't reach its models now ({status} at {path}); "
                "try again later."
            ) from error
        raise IclVectorsError(
            f"--host {host}: expected an NDIF server, found one that answers {status} at {path}; "
            "check the address."
        ) from error
    except httpx.HTTPError as error:
        raise IclVectorsError(
            f"--host {host}: expected an NDIF server, found none that answers "
            f"({type(error).__name__}); check the address and the connection."
        ) from error
    except ValueError as error:
        raise IclVectorsError(
            f"--host {host}: expected an NDIF server, found one that answers no JSON at {path}; "
            "check the address."
        ) from error

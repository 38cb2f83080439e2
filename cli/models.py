"""`icl-vectors models`: the embedded models and their copies, or what an NDIF server hosts."""

from dataclasses import asdict
from typing import Annotated, Any

from typer import Option

from icl_vectors.cli import options
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.errors import unknown_name


def models(
    remove: Annotated[str | None, Option(help="Delete the converted copy of this model.")] = None,
    remote: Annotated[
        bool, Option("--remote", help="List what NDIF hosts instead (NDIF_API_KEY).")
    ] = False,
    host: options.Host = None,
    json: options.Json = False,
) -> None:
    """List the embedded models, or those that a server hosts.

    Example: icl-vectors models --remove smollm2-135m
    """
    if host or remote:
        return _list_hosted(host or remote, json)
    from icl_vectors.models.embedded import EMBEDDED, remove_converted

    if remove is not None:
        if remove not in EMBEDDED:
            raise unknown_name("embedded model", remove, EMBEDDED)
        return show(f"removed {remove}: {remove_converted(remove) / 1e6:,.0f} MB freed.")
    listed = [_describe(name) for name in EMBEDDED]
    if json:
        return show_json(listed)
    for one in listed:
        show(f"{one['name']}: {one['weights']}; {one['terms']}")
        if one["folder"]:
            show(f"  converted copy: {one['folder']}  {one['bytes'] / 1e6:,.0f} MB")
        elif one["installed"]:
            show("  installed; converted on first use (about a minute)")
        else:
            show(f"  not installed; {one['install']}")


def _list_hosted(remote: bool | str, json: bool) -> None:
    from icl_vectors.remote.server import host_of, list_deployments, require_server

    host = host_of(remote)
    require_server(host)
    hosted = list_deployments(host)
    if json:
        return show_json([asdict(one) for one in hosted])
    for one in hosted:
        size = f"{one.n_params / 1e9:.2f}B parameters" if one.n_params else ""
        about = [one.level, one.state, one.dtype, size, f"revision {one.revision or 'main'}"]
        show(f"{one.repo_id}: {', '.join(filter(None, about))}")
    show(f"{len(hosted)} models at {host} (HOT: served, WARM: in memory, COLD: on disk)")


def _describe(name: str) -> dict[str, Any]:
    from icl_vectors.models.embedded import EMBEDDED, converted_folder, folder_bytes, is_installed

    model, folder = EMBEDDED[name], converted_folder(name)
    return {
        "name": name,
        "weights": model.weights,
        "terms": model.terms,
        "install": model.install,
        "installed": is_installed(model),
        "folder": str(folder) if folder else None,
        "bytes": folder_bytes(folder) if folder else 0,
    }

"""`icl-vectors models`: the embedded models, where their copies lie, and removing them."""

from typing import Annotated, Any

import typer

from icl_vectors.cli import options
from icl_vectors.errors import unknown_name
from icl_vectors.files import to_json


def models(
    remove: Annotated[
        str | None, typer.Option("--remove", help="Delete the converted copy of this model.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List the embedded models: what they are, where their converted copies lie, their size.

    Example: icl-vectors models --remove smollm2-135m
    """
    from icl_vectors.embedded import EMBEDDED, remove_converted

    if remove is not None:
        if remove not in EMBEDDED:
            raise unknown_name("embedded model", remove, EMBEDDED)
        return print(f"removed {remove}: {remove_converted(remove) / 1e6:,.0f} MB freed.")
    listed = [_describe(name) for name in EMBEDDED]
    if json:
        return print(to_json(listed))
    for one in listed:
        print(f"{one['name']}: {one['weights']}; {one['terms']}")
        if one["folder"]:
            print(f"  converted copy: {one['folder']}  {one['bytes'] / 1e6:,.0f} MB")
        elif one["installed"]:
            print("  installed; converted on first use (about 2 minutes)")
        else:
            print(f"  not installed; {one['install']}")


def _describe(name: str) -> dict[str, Any]:
    from icl_vectors.embedded import EMBEDDED, converted_folder, folder_bytes, is_installed

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

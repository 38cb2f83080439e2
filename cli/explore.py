"""`icl-vectors explore`: the page in the browser."""

import sys
from typing import Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.opening import AS_USUAL, Opening, expands_options, only_dtype
from icl_vectors.cli.terminal import show
from icl_vectors.errors import IclVectorsError


@expands_options
def explore(
    model: options.OneModel = "gemma-3-270m",
    opening: Opening = AS_USUAL,
    port: Annotated[
        int | None, typer.Option("--port", help="Of the page; the first free one from 7860 on.")
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", help="The address to listen on; 0.0.0.0 for every network.")
    ] = "127.0.0.1",
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address; open no browser.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """See a task vector work, in the browser: answers by layer as you type; ends at Ctrl-C.

    Who reaches the page can open any model that you can: --listen is for networks that you trust.

    Example: icl-vectors explore --model gemma-3-270m
    """
    dtype = only_dtype(opening.dtypes)
    opener = opening.opener(quiet)
    try:
        from icl_vectors.explore.app import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "gradio":
            raise
        raise IclVectorsError(
            'explore: expected the package gradio, found none; pip install "icl-vectors[explore]".'
        ) from error
    serve(
        model,
        lambda reference: opener.open(reference, dtype),
        port=port,
        host=listen,
        browser=not no_browser,
        started=lambda address: show(f"{address} (Ctrl-C ends it)", sys.stderr),
    )

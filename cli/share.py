"""`icl-vectors share`: a sweep's vectors as a folder with a card, pushed only when asked."""

from pathlib import Path
from typing import Annotated

import typer

from icl_vectors.cli.terminal import show


def share(
    run: Annotated[Path, typer.Argument(help="A sweep's folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for the vectors.")],
    push: Annotated[
        str | None,
        typer.Option("--push", help="Also push it to this Hugging Face repository, USER/NAME."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="A repository that --push makes is public.")
    ] = False,
) -> None:
    """Copy a sweep's vectors into a folder with a card: model, tasks, accuracies, how to use.

    Example: icl-vectors share runs/first -o shared-vectors
    """
    from icl_vectors.sharing import share as run_share

    folder = run_share(run, output, push_to=push, private=not public)
    count = len(list(folder.glob("*.safetensors")))
    show(f"{folder}: {count} vectors and README.md" + (f", pushed to {push}" if push else ""))

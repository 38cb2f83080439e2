"""`icl-vectors apply`: a task vector looked at, used, or written in another format."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icl_vectors.cli import options
from icl_vectors.cli.loading import ModelOptions, choose_dtypes, only_dtype
from icl_vectors.cli.terminal import printable, show, show_json
from icl_vectors.errors import IclVectorsError
from icl_vectors.layers import parse_named_layers
from icl_vectors.scoring import stable

if TYPE_CHECKING:
    from icl_vectors.vectors import TaskVector

EXPECTED_QUERIES = (
    "apply: expected queries after the file, found none; or --info to see what it is, "
    "or --gguf FILE to write it as a control vector."
)


def apply(
    theta: Annotated[Path, typer.Argument(help="A task vector, as `extract` or `sweep` wrote it.")],
    queries: Annotated[
        list[str] | None, typer.Argument(help="Queries, one answer line each.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="The block whose output θ replaces; or I,J,…")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", help="replace the state with θ, or add; by default as its method."),
    ] = None,
    scale: Annotated[float, typer.Option("--scale", help="θ is multiplied by it.")] = 1.0,
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Also the likeliest first tokens: how many.")
    ] = None,
    info: Annotated[
        bool, typer.Option("--info", help="What the vector is, its norms by layer; run nothing.")
    ] = False,
    gguf: Annotated[
        Path | None,
        typer.Option("--gguf", help="Write a control vector of llama.cpp and repeng; run nothing."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Use it with another model of the same shape.")
    ] = False,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", help="Tokens at most.")] = 8,
    model: Annotated[
        str | None, typer.Option("--model", help="By default the model that formed θ.")
    ] = None,
    dtype: options.Dtypes = "auto",
    load_in_4bit: options.In4Bit = False,
    load_in_8bit: options.In8Bit = False,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    remote: options.Remote = False,
    host: options.Host = None,
    trust_remote_code: options.TrustRemoteCode = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer queries with θ put in and no demonstrations: one answer a line.

    Example: icl-vectors apply capital.safetensors Spain Germany Greece --layer 10
    """
    from icl_vectors.vectors import TaskVector

    vector = TaskVector.load(theta)
    layers = None if layer is None else parse_named_layers(layer)
    if info or gguf is not None:
        return _without_a_model(vector, layers, info, gguf, json)
    if not queries:
        raise IclVectorsError(EXPECTED_QUERIES)
    from icl_vectors.application import apply as run_apply
    from icl_vectors.injection import choose_layers, takes_layers

    if takes_layers(vector):
        choose_layers(vector, layers)
    if model is None and vector.from_folder and not Path(vector.model).expanduser().is_dir():
        raise IclVectorsError(
            f"{theta}: its model was in the folder {vector.model}, found no such folder here; give "
            "the model with --model."
        )
    dtypes = choose_dtypes(dtype, load_in_4bit, load_in_8bit)
    kept_dtype = dtypes == ["auto"] and not (host or remote)  # a server's dtype is its own
    chosen_dtype = vector.dtype if kept_dtype else only_dtype(dtypes)
    revision = vector.revision if model is None else None
    opener = ModelOptions(
        device, device_map, revision, trust_remote_code, quiet or json, host or remote
    )
    opened = opener.open(model or vector.model, chosen_dtype)
    settings: dict[str, Any] = {"layer": layers, "mode": mode, "scale": scale, "force": force}
    settings |= {"max_new_tokens": max_new_tokens, "top_k": top_k}
    found: Any = run_apply(opened, vector, queries, **settings)
    with_top = top_k is not None
    _show(queries, found.texts if with_top else found, found.top if with_top else (), json)


def _show(queries: list[str], texts: list[str], top: Any, json: bool) -> None:
    shown: list[dict[str, Any]] = [
        {"query": query, "answer": text} for query, text in zip(queries, texts, strict=True)
    ]
    for one, likeliest in zip(shown, top, strict=False):
        one["top"] = [{"token": token, "probability": stable(value)} for token, value in likeliest]
    if json:
        return show_json(shown)
    for one in shown:
        tokens = [f"{printable(t['token'])!r} {t['probability']:.3f}" for t in one.get("top", [])]
        show("  ".join([printable(one["answer"]), *tokens]))


def _without_a_model(
    vector: "TaskVector", layers: list[int] | None, info: bool, gguf: Path | None, json: bool
) -> None:
    from icl_vectors.control_vectors import LOST
    from icl_vectors.vector_info import describe, describe_lines

    written = vector.export_gguf(gguf, layers) if gguf is not None else ()
    if json:
        about = describe(vector)
        exported = {"gguf": str(gguf), "layers": list(written), "lost": LOST}
        return show_json({**about, "exported": exported} if gguf is not None else about)
    if info:
        show("\n".join(map(printable, describe_lines(vector))))
    if gguf is not None:
        show(f"{gguf}: a control vector with a direction for block {_listed(written)}")
        show(LOST)


def _listed(layers: tuple[int, ...]) -> str:
    return ", ".join(map(str, layers))

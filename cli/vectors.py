"""`extract`, `apply` and `share`: task vectors made, shown, used and shared."""

import sys
from dataclasses import replace
from functools import partial
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from icl_vectors.cli import options
from icl_vectors.cli.model_options import AS_USUAL, ModelOptions, expands_options
from icl_vectors.cli.terminal import printable, show, show_json
from icl_vectors.errors import IclVectorsError
from icl_vectors.layers import parse_named_layers
from icl_vectors.prompts.template import load_template
from icl_vectors.scoring import stable

if TYPE_CHECKING:
    from icl_vectors.tasks.task import Task
    from icl_vectors.vectors.vector import TaskVector


EXPECTED_QUERIES = (
    "apply: expected queries after the file, found none; or --info to see what it is, "
    "or --gguf FILE to write it as a control vector."
)


@partial(expands_options, without=("revision", "in_flight"))
def apply(
    theta: Annotated[Path, Argument(help="A task vector, as `extract` or `sweep` wrote it.")],
    queries: Annotated[list[str] | None, Argument(help="Queries, one answer line each.")] = None,
    layer: Annotated[str | None, Option(help="The block whose output θ replaces; or I,J,…")] = None,
    mode: Annotated[
        str | None, Option(help="replace the state with θ, or add; by default as its method.")
    ] = None,
    scale: Annotated[float, Option(help="θ is multiplied by it.")] = 1.0,
    top_k: Annotated[int | None, Option(help="Also the likeliest first tokens: how many.")] = None,
    by_layer: Annotated[
        bool,
        Option("--by-layer", help="What is answered at each block, or at --layer A:B: a table."),
    ] = False,
    info: Annotated[
        bool, Option("--info", help="What the vector is, its norms by layer; run nothing.")
    ] = False,
    gguf: Annotated[
        Path | None, Option(help="Write a control vector of llama.cpp and repeng; run nothing.")
    ] = None,
    force: Annotated[
        bool, Option("--force", help="Use it with another model of the same shape.")
    ] = False,
    max_new_tokens: Annotated[int, Option(help="Tokens at most.")] = 8,
    model: Annotated[str | None, Option(help="By default the model that formed θ.")] = None,
    model_options: ModelOptions = AS_USUAL,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer queries with θ injected and no demonstrations.

    Example: icl-vectors apply capital.safetensors Spain Germany Greece --layer 10
    """
    from icl_vectors.vectors.vector import TaskVector

    vector = TaskVector.load(theta)
    layers = None if layer is None or by_layer else parse_named_layers(layer)
    if info or gguf is not None:
        return _without_a_model(vector, layers, info, gguf, json)
    if not queries:
        raise IclVectorsError(EXPECTED_QUERIES)
    from icl_vectors.vectors.apply import apply as run_apply
    from icl_vectors.vectors.injection import choose_layers, takes_layers

    if takes_layers(vector) and not by_layer:
        choose_layers(vector, layers)
    if model is None and vector.from_folder and not Path(vector.model).expanduser().is_dir():
        raise IclVectorsError(
            f"{theta}: its model was in the folder {vector.model}, found no such folder here; give "
            "the model with --model."
        )
    if model is None:
        model_options = replace(model_options, revision=vector.revision)
    # a server has its own dtype
    kept_dtype = model_options.dtypes == ["auto"] and not model_options.on_server
    chosen_dtype = vector.dtype if kept_dtype else model_options.only_dtype
    opened = model_options.open(model or vector.model, chosen_dtype, quiet or json)
    settings: dict[str, Any] = {"mode": mode, "scale": scale, "force": force, "top_k": top_k}
    if by_layer:
        from icl_vectors.vectors.by_layer import apply_by_layer
        from icl_vectors.vectors.info import by_layer_lines

        frame = apply_by_layer(opened, vector, queries, layers=layer or "all", **settings)
        rows = loads(frame.to_json(orient="records", double_precision=4))
        return show_json(rows) if json else show("\n".join(by_layer_lines(rows, len(queries))))
    settings |= {"layer": layers, "max_new_tokens": max_new_tokens}
    found: Any = run_apply(opened, vector, queries, **settings)
    texts, top = (found, ()) if top_k is None else (found.texts, found.top)
    _show(queries, texts, top, json)


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
    from icl_vectors.vectors.gguf import LOST
    from icl_vectors.vectors.info import describe, describe_lines

    written = vector.export_gguf(gguf, layers) if gguf is not None else ()
    if json:
        about = describe(vector)
        exported = {"gguf": str(gguf), "layers": list(written), "lost": LOST}
        return show_json({**about, "exported": exported} if gguf is not None else about)
    if info:
        show("\n".join(map(printable, describe_lines(vector))))
    if gguf is not None:
        show(f"{gguf}: a control vector with a direction for block {', '.join(map(str, written))}")
        show(LOST)


@expands_options
def extract(
    output: Annotated[Path, Option("--output", "-o", help="The file to write.")],
    task: Annotated[str | None, Option(help="A built-in task.")] = None,
    task_file: Annotated[Path | None, Option(help="Your own task.")] = None,
    strict_tasks: options.StrictTasks = False,
    demo: Annotated[list[str] | None, Option(help='A demonstration, "IN→OUT". Repeatable.')] = None,
    dummy: Annotated[list[str] | None, Option(help="A dummy query. Repeatable.")] = None,
    layer: Annotated[str, Option(help="Layers: L, A:B, I,J,… or all.")] = "all",
    prompts: Annotated[int, Option(help="Prompts drawn from the task; θ is their mean.")] = 1,
    method: Annotated[
        str,
        Option(
            help="state, state-mean, state-mean-add, function, icv, state-vector, learned, linear."
        ),
    ] = "state",
    heads: Annotated[Path | None, Option(help="For function: heads.json of a comparison.")] = None,
    instruction: Annotated[
        str, Option(help="A line in place of the demonstrations: θ(instruction)")
    ] = "",
    chat: Annotated[
        bool, Option("--chat", help="In a user turn, by the tokenizer's chat template.")
    ] = False,
    shots: options.Shots = 5,
    dummies: options.Dummies = 2,
    seed: options.Seed = 41,
    template: options.TemplateText = "{input}→{output}",
    model: options.OneModel = "gemma-3-270m",
    model_options: ModelOptions = AS_USUAL,
    quiet: options.Quiet = False,
) -> None:
    """Make a task vector from demonstrations and save it.

    Example: icl-vectors extract --demo "France→Paris" --demo "Japan→Tokyo" --demo "Egypt→Cairo"
    --dummy Kenya --dummy Cuba -o capital.safetensors
    """
    source = _only_source(task, task_file, demo, strict_tasks, bool(instruction))
    if not output.parent.is_dir():
        raise IclVectorsError(f"--output {output}: expected an existing folder, found none.")
    if output.is_dir():
        raise IclVectorsError(f"--output {output}: expected a file to write, found a folder.")
    arrow = load_template(template).arrow
    pairs = [_parse_demonstration(text, arrow) for text in demo or []]
    from icl_vectors.cli.progress import Watcher
    from icl_vectors.vectors.extract import extract as run_extract
    from icl_vectors.vectors.extract import prompts_asked

    shown, stand_ins = source or pairs, dummy or []
    asked: dict[str, Any] = {
        "seed": seed if source else None,
        "shots": shots,
        "draw_dummies": dummies,
        "prompts": prompts,
        "method": method,
        "instruction": instruction,
    }
    prompts_asked(shown, stand_ins, **asked)  # before a model is loaded
    opened = model_options.open(model, model_options.only_dtype, quiet)
    others: dict[str, Any] = {"layers": layer, "template": template, "heads": heads, "chat": chat}
    with Watcher(quiet) as watcher:
        vector = run_extract(opened, shown, stand_ins, **asked, **others, observer=watcher)
    vector.save(output)
    show(f"{output}: {vector}")


def _only_source(
    task: str | None, task_file: Path | None, demo: list[str] | None, strict: bool, instructed: bool
) -> "Task | None":
    from icl_vectors.tasks.task import Task, load_task

    given = bool(task) + bool(task_file)
    if given + bool(demo) != 1 and not (instructed and not given):
        raise IclVectorsError(
            "expected demonstrations from one place: --task NAME, --task-file F, or --demo …"
        )
    if task_file is None:
        return load_task(task) if task else None
    own = Task.from_file(task_file, strict=strict)
    for note in own.notes:
        show(f"note: {note}", sys.stderr)
    return own


def _parse_demonstration(text: str, arrow: str) -> tuple[str, str]:
    for mark in ("→", arrow):
        input, found, output = text.partition(mark)
        if found and input.strip() and output.strip():
            return input.strip(), output.strip()
    raise IclVectorsError(f'--demo {text!r}: expected "IN→OUT", such as "France→Paris".')


def share(
    run: Annotated[Path, Argument(help="A sweep's folder.")],
    output: Annotated[Path, Option("--output", "-o", help="A new folder for the vectors.")],
    push: Annotated[
        str | None, Option(help="Also push it to this Hugging Face repository, USER/NAME.")
    ] = None,
    public: Annotated[
        bool, Option("--public", help="A repository that --push makes is public.")
    ] = False,
) -> None:
    """Copy a sweep's vectors into a folder with a model card.

    The card has model, tasks, accuracies, and how to use them.

    Example: icl-vectors share runs/first -o shared-vectors
    """
    from icl_vectors.vectors.share import share as run_share

    folder = run_share(run, output, push_to=push, private=not public)
    count = len(list(folder.glob("*.safetensors")))
    show(f"{folder}: {count} vectors and README.md" + (f", pushed to {push}" if push else ""))

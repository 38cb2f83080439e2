"""`icl-vectors extract` and `icl-vectors apply`: one vector, made and used."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.loading import ModelOptions, choose_dtypes
from icl_vectors.errors import IclVectorsError
from icl_vectors.files import to_json
from icl_vectors.templates import load_template

if TYPE_CHECKING:
    from icl_vectors.tasks import Task


def extract(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    task: Annotated[str | None, typer.Option("--task", help="A built-in task.")] = None,
    task_file: Annotated[Path | None, typer.Option("--task-file", help="Your own task.")] = None,
    demo: Annotated[
        list[str] | None, typer.Option("--demo", help='A demonstration, "IN→OUT". Repeatable.')
    ] = None,
    dummy: Annotated[
        list[str] | None, typer.Option("--dummy", help="A dummy query. Repeatable.")
    ] = None,
    layer: Annotated[str, typer.Option("--layer", help="Layers to keep: L, A:B, or all.")] = "all",
    shots: options.Shots = 5,
    dummies: options.Dummies = 2,
    seed: options.Seed = 41,
    template: options.TemplateText = "{input}→{output}",
    model: options.OneModel = "gemma-3-270m",
    dtype: options.Dtypes = "auto",
    load_in_4bit: options.In4Bit = False,
    load_in_8bit: options.In8Bit = False,
    device: options.Device = None,
    device_map: options.DeviceMap = None,
    revision: options.Revision = None,
    remote: options.Remote = False,
    host: options.Host = None,
    trust_remote_code: options.TrustRemoteCode = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a task vector from demonstrations and save it as safetensors.

    Example: icl-vectors extract --demo "France→Paris" --demo "Japan→Tokyo" --demo "Egypt→Cairo"
    --dummy Kenya --dummy Cuba -o capital.safetensors
    """
    source = _only_source(task, task_file, demo)
    if not output.parent.is_dir():
        raise IclVectorsError(f"--output {output}: expected an existing folder, found none.")
    pairs, chosen_dummies = [], list(dummy or [])
    if demo:
        pairs = [_parse_demonstration(text, load_template(template).arrow) for text in demo]
    if source is not None:
        pairs, drawn = _draw(source, shots, dummies, seed)
        chosen_dummies = chosen_dummies or drawn
    from icl_vectors.extraction import extract as run_extract

    opener = ModelOptions(device, device_map, revision, trust_remote_code, quiet, host or remote)
    opened = opener.open(model, _one(choose_dtypes(dtype, load_in_4bit, load_in_8bit)))
    vector = run_extract(
        opened,
        pairs,
        chosen_dummies,
        layers=layer,
        template=template,
        task=source.name if source else "",
        seed=seed if source else None,
    )
    vector.save(output)
    print(f"{output}: {vector}")


def apply(
    theta: Annotated[Path, typer.Argument(help="A task vector, as `extract` or `sweep` wrote it.")],
    queries: Annotated[list[str], typer.Argument(help="Queries, one answer line each.")],
    layer: Annotated[
        int | None, typer.Option("--layer", help="The block whose output θ replaces.")
    ] = None,
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
    from icl_vectors.extraction import apply as run_apply
    from icl_vectors.extraction import choose_layer
    from icl_vectors.vectors import TaskVector

    vector = TaskVector.load(theta)
    choose_layer(vector, layer)
    dtypes = choose_dtypes(dtype, load_in_4bit, load_in_8bit)
    kept_dtype = dtypes == ["auto"] and not (host or remote)  # a server's dtype is its own
    chosen_dtype = vector.dtype if kept_dtype else _one(dtypes)
    opener = ModelOptions(
        device, device_map, vector.revision, trust_remote_code, quiet or json, host or remote
    )
    opened = opener.open(model or vector.model, chosen_dtype)
    answers = run_apply(opened, vector, queries, layer=layer, max_new_tokens=max_new_tokens)
    if json:
        shown = [{"query": q, "answer": a} for q, a in zip(queries, answers, strict=True)]
        return print(to_json(shown))
    print("\n".join(answers))


def _only_source(task: str | None, task_file: Path | None, demo: list[str] | None) -> "Task | None":
    from icl_vectors.tasks import Task, load_task

    given = [name for name, value in (("--task", task), ("--task-file", task_file)) if value]
    if len(given) + bool(demo) != 1:
        raise IclVectorsError(
            "expected demonstrations from one place: --task NAME, --task-file F, or --demo …"
        )
    if task_file is not None:
        return Task.from_file(task_file)
    return load_task(task) if task else None


def _parse_demonstration(text: str, arrow: str) -> tuple[str, str]:
    for mark in ("→", arrow):
        input, found, output = text.partition(mark)
        if found and input.strip() and output.strip():
            return input.strip(), output.strip()
    raise IclVectorsError(f'--demo {text!r}: expected "IN→OUT", such as "France→Paris".')


def _draw(
    task: "Task", shots: int, dummies: int, seed: int
) -> tuple[list[tuple[str, str]], list[str]]:
    from icl_vectors.experiments.checks import check_counts
    from icl_vectors.prompts import sample_prompts

    check_counts(shots=shots, dummies=dummies)
    prompt = sample_prompts(task, seed=seed, dev=0, test=1, shots=shots, dummies=dummies)[1][0]
    return list(prompt.demonstrations), list(prompt.dummies)


def _one(dtypes: list[str]) -> str:
    if len(dtypes) != 1:
        raise IclVectorsError(f"--dtype {','.join(dtypes)}: expected one dtype here.")
    return dtypes[0]

"""`icl-vectors extract`: one task vector, made and saved."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_vectors.cli import options
from icl_vectors.cli.loading import only_dtype
from icl_vectors.cli.opening import AS_USUAL, Opening, expands_options
from icl_vectors.cli.terminal import show
from icl_vectors.errors import IclVectorsError
from icl_vectors.templates import load_template

if TYPE_CHECKING:
    from icl_vectors.tasks import Task


@expands_options
def extract(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    task: Annotated[str | None, typer.Option("--task", help="A built-in task.")] = None,
    task_file: Annotated[Path | None, typer.Option("--task-file", help="Your own task.")] = None,
    strict_tasks: options.StrictTasks = False,
    demo: Annotated[
        list[str] | None, typer.Option("--demo", help='A demonstration, "IN→OUT". Repeatable.')
    ] = None,
    dummy: Annotated[
        list[str] | None, typer.Option("--dummy", help="A dummy query. Repeatable.")
    ] = None,
    layer: Annotated[str, typer.Option("--layer", help="Layers to keep: L, A:B, or all.")] = "all",
    prompts: Annotated[
        int, typer.Option("--prompts", help="Prompts drawn from the task; θ is their mean.")
    ] = 1,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="state, state-mean, state-mean-add, function, icv or state-vector.",
        ),
    ] = "state",
    heads: Annotated[
        Path | None, typer.Option("--heads", help="For function: heads.json of a comparison.")
    ] = None,
    shots: options.Shots = 5,
    dummies: options.Dummies = 2,
    seed: options.Seed = 41,
    template: options.TemplateText = "{input}→{output}",
    model: options.OneModel = "gemma-3-270m",
    opening: Opening = AS_USUAL,
    quiet: options.Quiet = False,
) -> None:
    """Make a task vector from demonstrations and save it as safetensors.

    Example: icl-vectors extract --demo "France→Paris" --demo "Japan→Tokyo" --demo "Egypt→Cairo"
    --dummy Kenya --dummy Cuba -o capital.safetensors
    """
    source = _only_source(task, task_file, demo, strict_tasks)
    if not output.parent.is_dir():
        raise IclVectorsError(f"--output {output}: expected an existing folder, found none.")
    if output.is_dir():
        raise IclVectorsError(f"--output {output}: expected a file to write, found a folder.")
    for name, count in (("shots", shots + 1), ("dummies", dummies), ("prompts", prompts)):
        if count < 1:
            least, found = (0, shots) if name == "shots" else (1, count)
            raise IclVectorsError(f"--{name} {found}: expected {least} or more.")
    arrow = load_template(template).arrow
    pairs = [_parse_demonstration(text, arrow) for text in demo or []]
    from icl_vectors.extraction import extract as run_extract
    from icl_vectors.extraction_of_methods import require_method, require_task

    if method != "state":  # before a model is loaded
        require_method(method)
        require_task(method, prompts, source is not None)
    opened = opening.opener(quiet).open(model, only_dtype(opening.dtypes))
    vector = run_extract(
        opened,
        source or pairs,
        dummy or [],
        layers=layer,
        template=template,
        seed=seed if source else None,
        shots=shots,
        draw_dummies=dummies,
        prompts=prompts,
        method=method,
        heads=heads,
    )
    vector.save(output)
    show(f"{output}: {vector}")


def _only_source(
    task: str | None, task_file: Path | None, demo: list[str] | None, strict: bool
) -> "Task | None":
    from icl_vectors.tasks import Task, load_task

    given = [name for name, value in (("--task", task), ("--task-file", task_file)) if value]
    if len(given) + bool(demo) != 1:
        raise IclVectorsError(
            "expected demonstrations from one place: --task NAME, --task-file F, or --demo …"
        )
    if task_file is not None:
        own = Task.from_file(task_file, strict=strict)
        for note in own.notes:
            show(f"note: {note}", sys.stderr)
        return own
    return load_task(task) if task else None


def _parse_demonstration(text: str, arrow: str) -> tuple[str, str]:
    for mark in ("→", arrow):
        input, found, output = text.partition(mark)
        if found and input.strip() and output.strip():
            return input.strip(), output.strip()
    raise IclVectorsError(f'--demo {text!r}: expected "IN→OUT", such as "France→Paris".')

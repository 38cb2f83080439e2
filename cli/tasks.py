"""`icl-vectors tasks [NAME]`, the tasks that options name, and `--show-prompt`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from icl_vectors.cli import options
from icl_vectors.cli.model_options import calm_libraries
from icl_vectors.cli.terminal import show, show_json

if TYPE_CHECKING:
    from icl_vectors.tasks.task import Task

SUMMARY = ("name", "category", "version", "description")
MORE = ("instruction", "source", "licence", "fingerprint")


def tasks(
    name: Annotated[str | None, Argument(help="A task, to see its pairs.")] = None,
    task_file: Annotated[
        Path | None, Option(help="Your own task: what was read of its file.")
    ] = None,
    strict_tasks: options.StrictTasks = False,
    json: options.Json = False,
) -> None:
    """List the tasks, or show one with its pairs and source.

    Example: icl-vectors tasks country_capital
    """
    from icl_vectors.tasks.task import known_tasks, load_task

    if name is not None or task_file is not None:
        files = [task_file] if task_file else None
        chosen = choose_tasks([name] if name else None, files, strict_tasks)
        if json:
            return show_json(
                _with_pairs(chosen[0]) if len(chosen) == 1 else [*map(_with_pairs, chosen)]
            )
        return show("\n\n".join(map(_as_text, chosen)))
    listed = [load_task(member) for member in known_tasks()]
    if json:
        return show_json([{key: getattr(task, key) for key in SUMMARY} for task in listed])
    for task in listed:
        show(f"{task.category:<14} {task.name:<27} {len(task.pairs):>4} pairs  {task.description}")


def _with_pairs(task: "Task") -> dict[str, Any]:
    about = {key: getattr(task, key) for key in (*SUMMARY, *MORE)}
    pairs = [{"input": input, "output": outputs} for input, outputs in task.pairs]
    return {**about, "n_pairs": len(pairs), "pairs": pairs}


def _as_text(task: "Task") -> str:
    about = _with_pairs(task)
    pairs = [f"  {one['input']} → {' | '.join(one['output'])}" for one in about.pop("pairs")]
    return "\n".join([*(f"{key}: {value}" for key, value in about.items() if value), *pairs])


def choose_tasks(
    tasks: list[str] | None, task_files: list[Path] | None, strict: bool = False
) -> "list[Task]":
    """The tasks that are meant: those named, those of files, or all where neither is given."""
    from icl_vectors.tasks.task import select_tasks

    names = ",".join(tasks) if tasks else ("" if task_files else "all")
    chosen = list(select_tasks(names, task_files or [], strict=strict))
    for note in (note for task in chosen for note in task.notes):
        show(f"note: {note}", sys.stderr)
    return chosen


def show_prompts(
    reference: str, revision: str | None, trust_remote_code: bool, config: Any
) -> None:
    """Print a prompt of each kind of the first task; of the model, only the tokenizer loads."""
    calm_libraries(quiet=True)
    from icl_vectors.models.source import load_tokenizer
    from icl_vectors.prompts.encoding import describe_prompt, encode_prompt
    from icl_vectors.prompts.limits import UNBOUNDED

    tokenizer = load_tokenizer(reference, revision=revision, trust_remote_code=trust_remote_code)
    config = config.model_copy(update={"dev": 1, "test": 1}).for_model(tokenizer)
    task, dummies = config.tasks[0], config.dummies
    prompt = config.prompts(config.units[0])[1][0]
    encoded = encode_prompt(tokenizer, config.template, prompt, UNBOUNDED)
    kinds = [("regular (query)", 0), *((f"θ (dummy {d})", d) for d in range(1, dummies + 1))]
    marked = "the token where θ is read" if config.chat else "the arrow"
    show(f"{task.name}, {reference}; {marked} is marked ⟦ ⟧\n")
    for name, index in kinds:
        ids = [*encoded.shared, *encoded.suffixes[index]]
        show(f"{name}, {len(ids)} tokens:\n  {describe_prompt(tokenizer, ids)}\n")
    show(f"baseline and hypothesis (query alone), {len(encoded.alone)} tokens:")
    show(f"  {describe_prompt(tokenizer, encoded.alone)}\n")
    firsts = ", ".join(repr(tokenizer.decode([token])) for token in encoded.accepted)
    show(f"accepted answers {', '.join(map(repr, prompt.answers))}; their first tokens: {firsts}")

"""`icl-vectors sweep`: the paper's experiment, task by task."""

import shlex
import sys
from functools import partial
from pathlib import Path

import typer

from icl_vectors.cli import options
from icl_vectors.cli.loading import require_one_on_server, say
from icl_vectors.cli.opening import AS_USUAL, Opening, opens_models
from icl_vectors.cli.precision import Comparison
from icl_vectors.cli.run_folders import RunFolders
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.checks import check_answer, check_choice, check_counts
from icl_vectors.prompts import require_pairs
from icl_vectors.tasks import Task, select_tasks
from icl_vectors.templates import load_template


@opens_models
def sweep(
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    tasks: options.Tasks = None,
    task_file: options.TaskFiles = None,
    strict_tasks: options.StrictTasks = False,
    shots: options.Shots = 5,
    dummies: options.Dummies = 2,
    test: options.Test = 50,
    dev: options.Dev = 50,
    layers: options.Layers = "all",
    seed: options.Seed = 41,
    seeds: options.Seeds = None,
    template: options.TemplateText = "{input}→{output}",
    batch_size: options.BatchSize = "auto",
    opening: Opening = AS_USUAL,
    answer: options.Answer = "first-token",
    choose_layer: options.ChooseLayer = "accuracy",
    output: options.Output = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    show_prompt: bool = typer.Option(
        False, "--show-prompt", help="Print one prompt of each kind with its tokens; run nothing."
    ),
) -> None:
    """Baseline, hypothesis (θ injected) and regular in-context learning for each task.

    The layer is chosen on dev prompts and reported on test prompts.

    Example: icl-vectors sweep --tasks country_capital,antonyms --output runs/first
    """
    prompts_a_batch, all_seeds = parse_batch_size(batch_size), parse_seeds(seed, seeds)
    check_counts(shots=shots, dummies=dummies, dev=dev, test=test, batch_size=prompts_a_batch)
    load_template(template)
    check_answer(answer)
    check_choice(choose_layer)
    chosen = choose_tasks(tasks, task_file, strict_tasks)
    require_pairs(chosen, shots, dummies)
    dtypes = opening.dtypes
    require_one_on_server(opening.on_server, dtypes)
    opener = opening.opener(quiet or json)
    if show_prompt:
        from icl_vectors.cli.show_prompt import show_prompts

        return show_prompts(
            model[0], opening.revision, opening.trust_remote_code, chosen, template, shots, dummies
        )
    folders = RunFolders.plan(output, model, dtypes, "sweep", opening.revision)

    from icl_vectors.cli.progress import Watcher
    from icl_vectors.cli.tables import sweep_table
    from icl_vectors.cli.tables_of_answers import answers_table
    from icl_vectors.experiments.sweep import sweep as run_sweep
    from icl_vectors.memory import release

    found = []
    for reference in folders.names:
        precisions = Comparison(folders.of_precisions(reference), say(quiet or json))
        for one_dtype in dtypes:
            opened = opener.open(reference, one_dtype)
            folder = folders.of(reference, opened.dtype)
            with Watcher(quiet or json) as watcher:
                results = run_sweep(
                    opened,
                    chosen,
                    output=folder,
                    shots=shots,
                    dummies=dummies,
                    dev=dev,
                    test=test,
                    layers=layers,
                    seeds=all_seeds,
                    template=template,
                    batch_size=prompts_a_batch,
                    answer=answer,
                    choose_layer=choose_layer,
                    observer=watcher,
                    provenance={"argv": sys.argv[1:]},
                )
            found.append(results)
            if not json:
                show(sweep_table(results.data))
                if whole := answers_table(results.data):
                    show(f"\n{whole}")
                show(f"\nThe run's folder: {folder}")
            draw([folder], quiet or json)
            if len(dtypes) > 1 and results.data["tasks"]:
                precisions.add(opened, folder)
            del opened
            release()
        if precisions.finish(partial(opener.open, reference)):
            draw(precisions.folders, quiet or json, precisions.place / "report.html")
    if json:
        documents = [{**results.data, "folder": str(results.folder)} for results in found]
        show_json(documents[0] if len(documents) == 1 else documents)
    if failures := {unit: text for results in found for unit, text in results.failures.items()}:
        for (task, unit_seed), text in failures.items():
            show(f"not run: {task} (seed {unit_seed}): {text}", sys.stderr)
        raise typer.Exit(1)


def draw(folders: list[Path], quiet: bool, output: Path | None = None) -> None:
    """Figures, tables and report of runs, whose results are complete: a failure is one line.

    `icl-vectors report` draws them later.
    """
    from icl_vectors.report import write_report

    try:
        page = write_report(folders, output)
    except Exception as error:  # whatever fails in drawing, nothing that was measured is lost
        reason = str(error) if isinstance(error, IclVectorsError) else repr(error)
        command = shlex.join(["icl-vectors", "report", *map(str, folders)])
        line = f"No figures and no report: {reason} The results are complete; draw later: {command}"
        return show(" ".join(line.split()), sys.stderr)
    say(quiet)(f"Report: {page}")


def choose_tasks(
    tasks: list[str] | None, task_files: list[Path] | None, strict: bool
) -> list[Task]:
    """The tasks that are meant: those named, those of files, or all where neither is given."""
    names = ",".join(tasks) if tasks else ("" if task_files else "all")
    chosen = list(select_tasks(names, task_files or [], strict=strict))
    for note in (note for task in chosen for note in task.notes):
        show(f"note: {note}", sys.stderr)
    return chosen


def parse_batch_size(text: str) -> int | None:
    """A number of prompts, or None for auto."""
    if text == "auto":
        return None
    if not text.lstrip("-").isdecimal():
        raise IclVectorsError(f"--batch-size {text}: expected auto, or 1 or more.")
    return int(text)


def parse_seeds(seed: int, seeds: str | None) -> tuple[int, ...]:
    """The seeds of --seeds, or the one of --seed."""
    if seeds is None:
        return (seed,)
    parts = [part.strip() for part in seeds.split(",") if part.strip()]
    if not parts or not all(part.lstrip("-").isdecimal() for part in parts):
        raise IclVectorsError(f"--seeds {seeds!r}: expected whole numbers, such as 41,42,43.")
    return tuple(dict.fromkeys(int(part) for part in parts))

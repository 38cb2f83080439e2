"""The experiments as commands: each one's options are the fields of its configuration."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

from typer import Context, Exit, Option

from icl_vectors.cli import options
from icl_vectors.cli.model_options import AS_USUAL, ModelOptions, expands_options, say
from icl_vectors.cli.report import draw
from icl_vectors.cli.run_folders import RunFolders
from icl_vectors.cli.tasks import choose_tasks, show_prompts
from icl_vectors.cli.terminal import show, show_documents
from icl_vectors.discovery import report_of
from icl_vectors.engine.config import Config
from icl_vectors.engine.experiment import Experiment
from icl_vectors.engine.results import Results
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.runs.files import write_json
from icl_vectors.runs.recovery import read_json
from icl_vectors.runs.validation import require_run
from icl_vectors.tasks.choose import parse_pairs
from icl_vectors.tasks.task import Task

ConfigFile = Annotated[
    Path | None, Option(help="run.json of an earlier run: its options, if not given here.")
]
ShowPrompt = Annotated[
    bool,
    Option("--show-prompt", help="Print one prompt of each kind with its tokens; run nothing."),
]


def command_of(kind: type[Experiment]) -> Callable[..., None]:
    """A command with an option for every field of the experiment's configuration."""

    def command(
        context: Context,
        given: dict[str, Any],
        model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
        model_options: ModelOptions = AS_USUAL,
        output: options.Output = None,
        json: options.Json = False,
        quiet: options.Quiet = False,
        config: ConfigFile = None,
        show_prompt: ShowPrompt = False,
    ) -> None:
        run = None if config is None else _read_run(config)
        if run is not None:
            given = {name: value for name, value in given.items() if is_typed(context, name)}
            model, model_options = _as_in(run, context, model, model_options)
        asked = configuration_of(kind, given, run)
        dtypes, quiet = model_options.dtypes_of_runs, quiet or json
        if show_prompt:
            return show_prompts(
                model[0], model_options.revision, model_options.trust_remote_code, asked
            )
        folders = RunFolders.plan(output, model, dtypes, kind.name, model_options.revision)
        found = [
            one
            for reference in folders.names
            for one in _run(kind, asked, reference, model_options, folders, quiet, json)
        ]
        if kind.name == "reproduce" and len(found) > 1:
            every = [results.folder for results in found if results.folder]
            draw(every, quiet, (output or Path("runs")) / "report.html")
        if json:
            show_documents([{**one.data, "folder": str(one.folder)} for one in found])
        failures = [failure for one in found for failure in one.failures.items()]
        for (task, seed), text in failures:
            show(f"not run: {task} (seed {seed}): {text}", sys.stderr)
        if failures:
            raise Exit(1)

    shown: Any = command
    parameters = dict(signature(command).parameters)
    if kind.name != "sweep":
        del parameters["show_prompt"]
    shown.__signature__ = Signature(list(parameters.values()))
    shown.__name__, shown.__doc__ = kind.name, kind.__doc__
    return expands_options(shown, given=kind.Config)


def _read_run(path: Path) -> dict[str, Any]:
    """The run.json of --config.

    Raises:
        IclVectorsError: it can't be read.
    """
    try:
        return require_run(path, read_json(path))
    except RunError as error:
        raise IclVectorsError(
            f"--config {path}: expected the run.json of a run, found no such file, or a damaged "
            "one."
        ) from error


def is_typed(context: Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _pairs_with(own: Sequence[Task], given: str) -> tuple[tuple[Task, Task], ...]:
    """The pairs as they were typed, with the user's tasks; refuses files that none names."""
    pairs = parse_pairs(given, own)
    meant = {task.name for pair in pairs for task in pair}
    if unused := [task.name for task in own if task.name not in meant]:
        raise IclVectorsError(
            f"--task-file: expected --pairs A:B that name {', '.join(unused)}, found {given}."
        )
    return pairs


def configuration_of(
    kind: type[Experiment], given: Mapping[str, Any], run: Mapping[str, Any] | None = None
) -> Any:
    """The experiment's configuration from options as they were typed.

    Args:
        run: run.json of an earlier run, whose options hold where none are given.
    """
    given = dict(given)
    files, strict = given.pop("task_file", None), given.pop("strict_tasks", False)
    own = choose_tasks(None, files, strict) if files and (run or "pairs" in given) else []
    if own and given.get("pairs"):
        given["pairs"] = _pairs_with(own, given["pairs"])
    if run is None:
        if "tasks" in kind.Config.model_fields:
            given["tasks"] = choose_tasks(given["tasks"], files, strict)
        return kind.Config.make(**given)
    if given.get("tasks"):
        given["tasks"] = choose_tasks(given["tasks"], files, strict)
    return kind.Config.of_run(run, kind.name, own, **given)


def _as_in(
    run: dict[str, Any], context: Context, model: list[str], model_options: ModelOptions
) -> tuple[list[str], ModelOptions]:
    """The model and dtype of an earlier run, where none are given."""
    about = run.get("model", {})
    if not is_typed(context, "model"):
        model = [str(about.get("reference"))]
        if not model_options.revision:
            model_options = replace(model_options, revision=about.get("revision"))
    typed = any(is_typed(context, name) for name in ("dtype", "load_in_4bit", "load_in_8bit"))
    if not typed and not model_options.on_server:
        model_options = replace(model_options, dtype=str(about.get("dtype", "auto")))
    return model, model_options


def _run(
    kind: type[Experiment],
    config: Config,
    reference: str,
    model_options: ModelOptions,
    folders: RunFolders,
    quiet: bool,
    json: bool,
) -> list[Results]:
    """One model in every dtype, each in a folder of its own; then the dtypes compared."""
    from icl_vectors.cli.progress import Watcher
    from icl_vectors.experiments.precision import CrossPrecision
    from icl_vectors.models.memory import release

    found, swept = [], {}
    cross: CrossPrecision | None = None
    dtypes = model_options.dtypes
    for dtype in dtypes:
        opened = model_options.open(reference, dtype, quiet)
        folder = folders.of(reference, opened.dtype)
        with Watcher(quiet) as watcher:
            about = {"argv": sys.argv[1:]}
            results = kind.run(opened, config, output=folder, observer=watcher, provenance=about)
        found.append(results)
        if not json:
            show(f"{report_of(kind.name).text(results.data)}\n\nThe run's folder: {folder}")
        draw([folder], quiet)
        is_swept = kind.name == "sweep" and len(dtypes) > 1 and results.data["tasks"]
        if is_swept and folder not in swept:
            swept[folder] = opened.dtype
            cross = cross or CrossPrecision(folder)
            say(quiet)(f"Reading θ of each test prompt in {opened.dtype} …")
            cross.read_thetas(opened)
        del opened
        release()
    if cross is not None and len(swept) > 1:
        for dtype in swept.values():
            say(quiet)(f"Injecting θ of {', '.join(swept.values())} into {dtype} …")
            cross.inject(model_options.open(reference, dtype, quiet))
            release()
        place = folders.of_precisions(reference)
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / "precision.json", cross.results())
        draw(list(swept), quiet, place / "report.html")
    return found

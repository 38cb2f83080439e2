"""The experiments as commands: each one's options are the fields of its configuration."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icl_vectors.cli import options
from icl_vectors.cli.opening import (
    AS_USUAL,
    ModelOptions,
    Opening,
    expands_options,
    require_one_on_server,
    say,
)
from icl_vectors.cli.report import draw
from icl_vectors.cli.run_folders import RunFolders
from icl_vectors.cli.tasks import choose_tasks, show_prompts
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.discovery import report_of
from icl_vectors.engine.config import Config
from icl_vectors.engine.experiment import Experiment
from icl_vectors.engine.results import Results
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.runs.files import write_json
from icl_vectors.runs.recovery import read_json
from icl_vectors.runs.validation import require_run

if TYPE_CHECKING:
    from icl_vectors.experiments.precision import CrossPrecision
    from icl_vectors.models.load import Model


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="run.json of an earlier run: its options, if not given here."),
]
ShowPrompt = Annotated[
    bool,
    typer.Option(
        "--show-prompt", help="Print one prompt of each kind with its tokens; run nothing."
    ),
]


def command_of(kind: type[Experiment]) -> Callable[..., None]:
    """A command with an option for every field of the experiment's configuration."""

    def command(
        context: typer.Context,
        given: dict[str, Any],
        model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
        opening: Opening = AS_USUAL,
        output: options.Output = None,
        json: options.Json = False,
        quiet: options.Quiet = False,
        config: ConfigFile = None,
        **more: bool,
    ) -> None:
        run = None if config is None else _read_run(config)
        if run is not None:
            given = {name: value for name, value in given.items() if is_typed(context, name)}
            model, opening = _as_in(run, context, model, opening)
        asked = configuration_of(kind, given, run)
        require_one_on_server(opening.on_server, opening.dtypes)
        if more.get("show_prompt"):
            return show_prompts(model[0], opening.revision, opening.trust_remote_code, asked)
        opener = opening.opener(quiet or json)
        folders = RunFolders.plan(output, model, opening.dtypes, kind.name, opening.revision)
        found = [
            one
            for reference in folders.names
            for one in _run(kind, asked, reference, opening.dtypes, folders, opener, json)
        ]
        if kind.name == "reproduce" and len(found) > 1:
            every = [results.folder for results in found if results.folder]
            draw(every, opener.quiet, (output or Path("runs")) / "report.html")
        if json:
            documents = [{**results.data, "folder": str(results.folder)} for results in found]
            show_json(documents[0] if len(documents) == 1 else documents)
        failures = [(unit, text) for one in found for unit, text in one.failures.items()]
        for (task, seed), text in failures:
            show(f"not run: {task} (seed {seed}): {text}", sys.stderr)
        if failures:
            raise typer.Exit(1)

    shown: Any = command
    parameters = [
        one for one in signature(command).parameters.values() if one.kind is not one.VAR_KEYWORD
    ]
    if kind.name == "sweep":
        last = {"default": False, "annotation": ShowPrompt}
        parameters.append(Parameter("show_prompt", Parameter.KEYWORD_ONLY, **last))
    shown.__signature__ = Signature(parameters)
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


def is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def configuration_of(
    kind: type[Experiment], given: Mapping[str, Any], run: Mapping[str, Any] | None = None
) -> Any:
    """The experiment's configuration from options as they were typed.

    Args:
        run: run.json of an earlier run, whose options hold where none are given.
    """
    given = dict(given)
    files, strict = given.pop("task_file", None), given.pop("strict_tasks", False)
    if run is None:
        if "tasks" in kind.Config.model_fields:
            given["tasks"] = choose_tasks(given["tasks"], files, strict)
        return kind.Config.make(**given)
    own = choose_tasks(None, files, strict) if files else []
    if given.get("tasks"):
        given["tasks"] = choose_tasks(given["tasks"], files, strict)
    return kind.Config.of_run(run, kind.name, own, **given)


def _as_in(
    run: dict[str, Any], context: typer.Context, model: list[str], opening: Opening
) -> tuple[list[str], Opening]:
    """The model and dtype of an earlier run, where none are given."""
    about = run.get("model", {})
    if not is_typed(context, "model"):
        model = [str(about.get("reference"))]
        if not opening.revision:
            opening = replace(opening, revision=about.get("revision"))
    typed = any(is_typed(context, name) for name in ("dtype", "load_in_4bit", "load_in_8bit"))
    if not typed and not opening.on_server:
        opening = replace(opening, dtype=str(about.get("dtype", "auto")))
    return model, opening


def _run(
    kind: type[Experiment],
    config: Config,
    reference: str,
    dtypes: list[str],
    folders: RunFolders,
    opener: ModelOptions,
    json: bool,
) -> list[Results]:
    """One model in every dtype, each in a folder of its own; then the dtypes compared."""
    from icl_vectors.cli.progress import Watcher
    from icl_vectors.models.memory import release

    found = []
    precisions = Comparison(folders.of_precisions(reference), say(opener.quiet))
    for dtype in dtypes:
        opened = opener.open(reference, dtype)
        folder = folders.of(reference, opened.dtype)
        with Watcher(opener.quiet) as watcher:
            about = {"argv": sys.argv[1:]}
            results = kind.run(opened, config, output=folder, observer=watcher, provenance=about)
        found.append(results)
        if not json:
            show(f"{report_of(kind.name).text(results.data)}\n\nThe run's folder: {folder}")
        draw([folder], opener.quiet)
        if kind.name == "sweep" and len(dtypes) > 1 and results.data["tasks"]:
            precisions.add(opened, folder)
        del opened
        release()
    if precisions.finish(partial(opener.open, reference)):
        draw(precisions.folders, opener.quiet, precisions.place / "report.html")
    return found


FILE = "precision.json"


class Comparison:
    """The precisions of one model, collected while their sweeps run.

    Args:
        place: the folder of what all have in common.
        say: is told what takes long.
    """

    def __init__(self, place: Path, say: Callable[[str], None]) -> None:
        self.place = place
        self._say = say
        self.folders: list[Path] = []
        self._dtypes: list[str] = []
        self._cross: CrossPrecision | None = None

    def add(self, model: "Model", folder: Path) -> None:
        """A finished sweep, whose model is still open."""
        from icl_vectors.experiments.precision import CrossPrecision

        if folder in self.folders:
            return
        self.folders.append(folder)
        self._dtypes.append(model.dtype)
        self._cross = self._cross or CrossPrecision(folder)
        self._say(f"Reading θ of each test prompt in {model.dtype} …")
        self._cross.read_thetas(model)

    def finish(self, reopen: Callable[[str], "Model"]) -> bool:
        """θ of each precision in every other; False where there is nothing to compare."""
        if self._cross is None or len(self._dtypes) < 2:
            return False
        from icl_vectors.models.memory import release

        for dtype in self._dtypes:
            self._say(f"Putting θ of {', '.join(self._dtypes)} into {dtype} …")
            self._cross.inject(reopen(dtype))
            release()
        self.place.mkdir(parents=True, exist_ok=True)
        write_json(self.place / FILE, self._cross.results())
        return True

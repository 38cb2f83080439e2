"""`icl-vectors plan`: what a sweep would cost, told without running anything."""

import shlex
from typing import Annotated, Any

import typer

from icl_vectors.cli import options
from icl_vectors.cli.experiments import configuration_of
from icl_vectors.cli.loading import calm_libraries, say
from icl_vectors.cli.opening import AS_USUAL, Opening, expands_options
from icl_vectors.cli.tables_of_plan import plan_text
from icl_vectors.cli.terminal import show, show_json
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.sweep import Sweep, SweepConfig

OF_PLAN_ALONE = ("calibrate", "memory", "json", "quiet", "dtype", "load_in_4bit", "load_in_8bit")


def _plan(
    context: typer.Context,
    given: dict[str, Any],
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    opening: Opening = AS_USUAL,
    output: options.Output = None,
    memory: Annotated[
        str | None, typer.Option("--memory", help="Ask about a GPU of this size, such as 24GB.")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option("--methods", help="Ask about `compare` with these methods, or all."),
    ] = None,
    controls: Annotated[
        str, typer.Option("--controls", help="Of that comparison: all, none, or names.")
    ] = "all",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this machine for a second a dtype.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what a sweep would cost in memory, work, time and jobs; runs and loads nothing.

    The configuration suffices: a folder that holds config.json alone, or a hub id. --dtype auto
    tells of the checkpoint's own dtype, bfloat16, int8 and nf4.

    Example: icl-vectors plan --model ./llama-2-70b --dtype nf4 --memory 24GB
    """
    calm_libraries(quiet or json)
    from icl_vectors.experiments.cost import parse_memory
    from icl_vectors.experiments.planning import plan_sweep

    on_server, config = bool(opening.on_server), configuration_of(Sweep, given)
    if on_server and (calibrate or memory is not None):
        raise IclVectorsError(
            "--calibrate or --memory with --remote: expected one of them; what a server's memory "
            "and time are is not known here."
        )
    if methods is not None and (config.seeds is not None or config.generates):
        raise IclVectorsError(
            "--methods with --seeds or --answer: expected --seed alone; a comparison has one seed "
            "and compares first tokens."
        )
    settings: dict[str, Any] = {
        "methods": methods,
        "controls": controls,
        "dtypes": opening.dtypes,
        "memory": parse_memory(memory) if memory is not None else None,
        "calibrate": calibrate,
        "device": opening.device,
        "revision": opening.revision,
        "trust_remote_code": opening.trust_remote_code,
        "notice": say(quiet or json),
    }
    plans = []
    for reference in model:
        found = plan_sweep(reference, config, **settings)
        found["command"] = _command(context, reference, found["dtype"], on_server)
        found["remote"]["command"] = _command(context, reference, None, True)
        found["not_counted"] = "writing whole answers" if config.generates else None
        plans.append(found)
        if not json:
            show(plan_text(found, remote=on_server))
    if json:
        show_json(plans[0] if len(plans) == 1 else plans)


plan = expands_options(_plan, given=SweepConfig)
plan.__name__ = "plan"


def _command(context: typer.Context, reference: str, dtype: str | None, remote: bool) -> str | None:
    """The sweep to run: the same options, with the dtype and the place that fit, or remote."""
    command = "compare" if context.params.get("methods") else "sweep"
    words = ["icl-vectors", command, "--model", reference]
    for option in context.command.params:
        name, value = option.name or "", context.params.get(option.name or "")
        if name in (*OF_PLAN_ALONE, "model") or value in (None, False, option.default):
            continue
        if remote and name in ("device", "device_map"):
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [option.opts[0]] if value is True else [option.opts[0], str(one)]
    if not remote:
        if dtype is None:
            return None
        words += ["--dtype", dtype]
    elif "--host" not in words and "--remote" not in words:
        words.append("--remote")
    return shlex.join(words)

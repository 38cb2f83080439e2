"""`icl-vectors plan`: what a run would cost, without running anything."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from textwrap import fill
from typing import Annotated, Any

from typer import Context, Option

from icl_vectors.cli import options
from icl_vectors.cli.experiments import configuration_of, is_typed
from icl_vectors.cli.model_options import (
    AS_USUAL,
    ModelOptions,
    calm_libraries,
    expands_options,
    say,
)
from icl_vectors.cli.terminal import show, show_documents
from icl_vectors.discovery import experiment as kind_of
from icl_vectors.discovery import experiment_names
from icl_vectors.errors import IclVectorsError, unknown_name
from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.experiments.sweep import Sweep, SweepConfig

OF_PLAN_ALONE = ("experiment", "calibrate", "memory", "json", "quiet")
OF_DTYPES = ("dtype", "load_in_4bit", "load_in_8bit")


@partial(expands_options, given=SweepConfig)
def plan(
    context: Context,
    given: dict[str, Any],
    model: options.Models = ["gemma-3-270m"],  # noqa: B006 (typer copies it)
    model_options: ModelOptions = AS_USUAL,
    output: options.Output = None,
    memory: Annotated[
        str | None, Option(help="Ask about a GPU of this size, such as 24GB.")
    ] = None,
    experiment: Annotated[
        str, Option(help="Ask about another experiment made of sweeps.")
    ] = "sweep",
    methods: Annotated[
        str | None, Option(help="Ask about `compare` with these methods, or all.")
    ] = None,
    controls: Annotated[str, Option(help="Of that comparison: all, none, or names.")] = "all",
    calibrate: Annotated[
        bool, Option("--calibrate", help="Measure this machine for a second a dtype.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what a run would cost; nothing is run or loaded.

    Memory, work, time and jobs of a sweep, a comparison, or another experiment made of sweeps.

    The configuration suffices: a folder that holds config.json alone, or a hub id. --dtype auto
    tells of the checkpoint's own dtype, bfloat16, nf4 and int8.

    Example: icl-vectors plan --model ./llama-2-70b --dtype nf4 --memory 24GB
    """
    calm_libraries(quiet or json)
    from icl_vectors.cost.memory import parse_memory
    from icl_vectors.cost.plan import plan_sweep

    on_server, config = bool(model_options.on_server), _configuration(context, experiment, given)
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
    compare = None
    if methods is not None:
        compare = CompareConfig.make(methods=methods, controls=controls)
    dtypes = model_options.dtypes
    size = parse_memory(memory) if memory is not None else None
    plans = []
    for reference in model:
        found = plan_sweep(
            reference,
            config,
            dtypes=dtypes,
            memory=size,
            calibrate=calibrate,
            device=model_options.device,
            source={
                name: getattr(model_options, name) for name in ("revision", "trust_remote_code")
            },
            log=say(quiet or json),
            compare=compare,
        )
        found["command"] = _command(context, reference, found["dtype"], on_server)
        found["remote"]["command"] = _command(context, reference, None, True)
        found["remote"]["in_flight"] = min(model_options.in_flight, found["remote"]["jobs"])
        generates = getattr(config, "generates", False)
        found["not_counted"] = "writing whole answers" if generates else None
        plans.append(found)
        if not json:
            show(plan_text(found, remote=on_server))
    if json:
        show_documents(plans)


def _configuration(context: Context, name: str, given: dict[str, Any]) -> Any:
    """The configuration that is asked about: a sweep's, or one of an experiment of sweeps."""
    kinds = {one: kind_of(one) for one in experiment_names()}
    of_sweeps = [one for one, kind in kinds.items() if hasattr(kind.Config, "units")]
    if name not in of_sweeps:
        raise unknown_name("--experiment", name, of_sweeps)
    if name == "sweep":
        return configuration_of(Sweep, given)
    names = {*kinds[name].Config.model_fields, "task_file", "strict_tasks"}
    kept = {one: value for one, value in given.items() if one in names}
    typed = {one: value for one, value in kept.items() if is_typed(context, one)}
    return configuration_of(kinds[name], {"tasks": None, **typed})


def _command(context: Context, reference: str, dtype: str | None, remote: bool) -> str | None:
    """The sweep to run: the same options, with the dtype and the place that fit, or remote."""
    command = "compare" if context.params.get("methods") else context.params["experiment"]
    words = ["icl-vectors", command, "--model", reference]
    for option in context.command.params:
        name, value = option.name or "", context.params.get(option.name or "")
        if name in (*OF_PLAN_ALONE, *OF_DTYPES, "model") or value in (None, False, option.default):
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


WIDTH = 100  # characters of a line


def plan_text(plan: Mapping[str, Any], remote: bool) -> str:
    """What a sweep, or a comparison, would cost, for people to read."""
    on_server = remote or plan["command"] is None
    parts = [_model(plan), *(() if remote else _memory(plan)), _work(plan)]
    if plan["compare"]:
        parts.append("\n".join(_methods(plan["compare"])))
    if on_server:
        parts.append(_remote(plan))
    if plan["not_counted"]:
        parts.append(f"Not counted: {plan['not_counted']} (one more job a task on a server).")
    if on_server:
        fits, command = "" if remote else "Fits nowhere whole. ", plan["remote"]["command"]
    else:
        timed = any(one.get("seconds") for one in plan["dtypes"])
        parts.append(
            ("" if timed else "Time: add --calibrate. ") + "Jobs on a server: add --remote."
        )
        fits = _wrapped(f"Recommended: {plan['dtype']}, {plan['reason']}.") + "\n"
        command = plan["command"]
    return "\n\n".join([*parts, f"{fits}To run it: {command}"])


def _wrapped(*sentences: str) -> str:
    return "\n".join(fill(one, WIDTH, break_on_hyphens=False) for one in sentences)


def _model(plan: Mapping[str, Any]) -> str:
    estimated = "estimated from the text, as there is no tokenizer"
    source = estimated if plan["tokens_estimated"] else "by its own tokenizer"
    path = "It keeps more than keys and values: whole prompts are run."
    return _wrapped(
        f"{plan['model']}: {plan['type']}, {plan['n_layers']} blocks of width "
        f"{plan['hidden_size']}, {plan['parameters'] / 1e9:.2f} billion parameters.",
        f"The longest prompt has {plan['longest_prompt']} tokens ({source}).",
        *([path] if plan["path"] != "cached" else []),
    )


def _memory(plan: Mapping[str, Any]) -> Iterator[str]:
    """A table a place, and what else is to be said of a dtype there."""
    for number, first in enumerate(plan["dtypes"][0]["places"]):
        name, size = first["name"], _bytes(first["memory"])
        lines = [f"{name}:" if name.endswith("GB") else f"{name}, {size}:"]
        lines.append(
            f"  {'dtype':<10}{'fits':<6}{'weights':>10}{'memory per prompt':>19}"
            f"{'batch size':>12}  total memory"
        )
        remarks: list[str] = []
        for one in plan["dtypes"]:
            place, fits = one["places"][number], "yes" if one["places"][number]["fits"] else "no"
            sizes = f"{_bytes(one['weight_bytes']):>10}{_bytes(one['bytes_per_prompt']):>19}"
            batch = place.get("batch_size", "–")
            lines.append(f"  {one['dtype']:<10}{fits:<6}{sizes}{batch:>12}  {_in_all(one, place)}")
            remarks += _remarks(one, place)
        yield "\n".join([*lines, *map(_wrapped, remarks)])
    if spoken := [_seconds(one) for one in plan["dtypes"] if one.get("seconds")]:
        yield _wrapped(*spoken)


def _in_all(one: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    if "peak_bytes" in place:
        fits = "" if place["fits"] else ", too large: a smaller batch"
        return _bytes(place["peak_bytes"]) + fits
    missing = one["weight_bytes"] + one["bytes_per_prompt"] - place["memory"]
    return f"{_bytes(max(missing, 0))} too large"


def _remarks(one: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[str]:
    if place["fits"] and "remark" in place:
        yield f"{one['dtype']}: {place['remark']}."
    if place["fits"] or "peak_bytes" in place or not place["gpu"]:
        return
    if (offloaded := place["offloaded"]) is None:
        yield f"{one['dtype']} cannot be offloaded."
        return
    yield (
        f"{one['dtype']} with --device-map auto, in batches of {offloaded['batch_size']}: "
        f"{_bytes(offloaded['moved_bytes'])} move over the bus, at least "
        f"{_time(offloaded['seconds_at_least'])} at its nominal 25 GB/s."
    )


def _seconds(one: Mapping[str, Any]) -> str:
    dtype, seconds = one["dtype"], one["seconds"]
    if seconds["estimated"] is None:
        return f"{dtype}: not measured: {seconds['reason']}"
    took, device = _time(seconds["estimated"]), seconds["device"]
    return f"{dtype} takes about {took} on {device} here, by its speed just now."


def _work(plan: Mapping[str, Any]) -> str:
    units = plan["work"]
    total = {key: sum(unit[key] for unit in units) for key in ("tokens", "layer_tokens", "flops")}
    tasks, seeds = (len({unit[key] for unit in units}) for key in ("task", "seed"))
    n, prompts = len(units), sum(unit["prompts"] for unit in units)
    each = f" with {seeds} seeds each" if seeds > 1 else ""
    return _wrapped(
        f"{tasks} {'tasks' if tasks > 1 else 'task'}{each}: {prompts} prompts in batches of "
        f"{plan['batch_size']}.",
        f"Work: {total['tokens']:,} tokens, {total['layer_tokens']:,} layer-tokens, "
        f"{total['flops']:.2e} FLOPs.",
        f"Of one task and seed: {total['tokens'] // n:,} tokens, {total['layer_tokens'] // n:,} "
        f"layer-tokens, {total['flops'] / n:.2e} FLOPs.",
    )


def _methods(costs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "What stands above is of `sweep`. `compare`, layer-tokens over all tasks (answers: at"
    yield "most, their block is not known yet; controls, other arrows and shots are not counted):"
    yield f"{'method':<16}{'answers':>14}{'to choose':>14}{'heads':>12}{'jobs':>6}"
    for one in costs:
        yield (
            f"{one['method']:<16}{one['layer_tokens']:>14,}{one['layer_tokens_choosing']:>14,}"
            f"{one['ranking']:>12,}{one['jobs']:>6}"
        )


def _remote(plan: Mapping[str, Any]) -> str:
    remote = plan["remote"]
    jobs, up, down = remote["jobs"], remote["bytes_up"], remote["bytes_down"]
    return _wrapped(
        f"On an NDIF server (--remote): {jobs} {'jobs' if jobs > 1 else 'job'}, "
        f"{_bytes(up)} up and {_bytes(down)} down "
        f"({_bytes(up / jobs)} and {_bytes(down / jobs)} a job).",
        f"One at a time they wait in its queue {jobs} times; {remote['in_flight']} at once "
        f"(--in-flight) about {ceil(jobs / remote['in_flight'])} times.",
    )


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.0f} s"

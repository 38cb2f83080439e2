"""A plan as plain text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HOUR = 3600


def plan_text(plan: Mapping[str, Any], remote: bool) -> str:
    """What a sweep, or a comparison, would cost, for people to read."""
    lines = [_model(plan), ""]
    if not remote:
        lines += [*_memory(plan), ""]
    lines += [*_work(plan), ""]
    if plan["compare"]:
        lines += [*_methods(plan["compare"]), ""]
    lines += [_remote(plan)] if remote or plan["command"] is None else []
    if plan["not_counted"]:
        lines.append(f"Not counted: {plan['not_counted']} (one more job a task on a server).")
    if plan["command"] is None:
        lines.append(f"Fits nowhere whole. To run it: {plan['remote']['command']}")
    else:
        lines.append(f"To run it: {plan['command']}")
    return "\n".join(lines)


def _model(plan: Mapping[str, Any]) -> str:
    source = (
        "estimated from the text, as there is no tokenizer"
        if plan["tokens_estimated"]
        else "by its own tokenizer"
    )
    return (
        f"{plan['model']}: {plan['type']}, {plan['n_layers']} blocks of width "
        f"{plan['hidden_size']}, {plan['parameters'] / 1e9:.2f} billion parameters; the longest "
        f"prompt has {plan['longest_prompt']} tokens ({source}).{_path(plan)}"
    )


def _path(plan: Mapping[str, Any]) -> str:
    return "" if plan["path"] == "cached" else " It keeps more than keys and values: whole prompts."


def _memory(plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'dtype':<10}{'weights':>10}{'a prompt':>11}   fits"
    for one in plan["dtypes"]:
        sizes = f"{_bytes(one['weight_bytes']):>10}{_bytes(one['bytes_per_prompt']):>11}"
        for number, place in enumerate(one["places"]):
            head = f"{one['dtype']:<10}{sizes}" if number == 0 else " " * 31
            yield f"{head}   {_place(one, place)}"
        if seconds := one.get("seconds"):
            yield f"{'':<31}   {_seconds(seconds)}"


def _place(one: Mapping[str, Any], place: Mapping[str, Any]) -> str:
    name = f"{place['name']}, {_bytes(place['memory'])}"
    if place["fits"]:
        remark = f" ({place['remark']})" if "remark" in place else ""
        size = place["batch_size"]
        return f"{name}: yes, {_bytes(place['peak_bytes'])} with batches of {size}{remark}"
    if "peak_bytes" in place:
        return f"{name}: not with batches of {place['batch_size']} ({_bytes(place['peak_bytes'])})"
    lacking = one["weight_bytes"] + one["bytes_per_prompt"] - place["memory"]
    found = f"{name}: no, {_bytes(max(lacking, 0))} too large"
    if not place["gpu"]:
        return found
    if (offloaded := place["offloaded"]) is None:
        return found + "; cannot be offloaded in this dtype"
    return (
        f"{found}; with --device-map auto, in batches of {offloaded['batch_size']}, "
        f"{_bytes(offloaded['moved_bytes'])} move over the bus: at least "
        f"{_time(offloaded['seconds_at_least'])} at its nominal 25 GB/s"
    )


def _seconds(seconds: Mapping[str, Any]) -> str:
    if seconds["estimated"] is None:
        return f"not measured: {seconds['reason']}"
    return f"about {_time(seconds['estimated'])} on {seconds['device']} here, by its speed just now"


def _work(plan: Mapping[str, Any]) -> Iterator[str]:
    units = plan["work"]
    total = {key: sum(unit[key] for unit in units) for key in ("tokens", "layer_tokens", "flops")}
    n = len(units)
    yield (
        f"{n} task(s) × seed(s), {sum(unit['prompts'] for unit in units)} prompts, in batches of "
        f"{plan['batch_size']}: {total['tokens']:,} tokens, "
        f"{total['layer_tokens']:,} layer-tokens, {total['flops']:.2e} FLOPs"
    )
    yield (
        f"a task in the mean: {total['tokens'] // n:,} tokens, {total['layer_tokens'] // n:,} "
        f"layer-tokens, {total['flops'] / n:.2e} FLOPs"
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
    jobs = remote["jobs"]
    up, down = remote["bytes_up"], remote["bytes_down"]
    return (
        f"On an NDIF server (--remote): {jobs} {'jobs' if jobs > 1 else 'job'}, "
        f"{_bytes(up)} up and {_bytes(down)} down "
        f"({_bytes(up / jobs)} and {_bytes(down / jobs)} a job)."
    )


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _time(seconds: float) -> str:
    if seconds >= HOUR:
        return f"{seconds / HOUR:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.0f} s"

"""The table of `--answer generate`: the same answers by first token, by prefix, and whole."""

from collections.abc import Mapping
from typing import Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.runs.schema import METHODS

WAYS = ("first_token", "prefix", "exact")
SHOWN = ("hypothesis", "regular")


def answers_table(data: Mapping[str, Any]) -> str:
    """Accuracy of θ and of in-context learning by the three comparisons; "" for first tokens."""
    entries = [entry for entry in data["tasks"] if entry.get("answer") == "generate"]
    if not entries:
        return ""
    header = f"{'whole answers':<28}" + "".join(f"{method:<28}" for method in SHOWN)
    names = f"{'':<28}" + "".join(f"{'first':<7}{'prefix':<8}{'exact':<13}" for _ in SHOWN)
    lines = [header.rstrip(), names.rstrip()]
    for entry in entries:
        figures = {method: [_value(entry[method], way) for way in WAYS] for method in SHOWN}
        lines.append(_line(_named(entry, data), figures))
    means = {
        method: [_mean([_value(entry[method], way) for entry in entries]) for way in WAYS]
        for method in SHOWN
    }
    lines.append(_line("mean", means))
    lines.append(
        "The table above counts whole answers (exact); its curves by layer count first tokens."
    )
    return "\n".join(lines)


def first_tokens_table(data: Mapping[str, Any]) -> str:
    """Where labels are compared, what the likeliest of all tokens earns; "" elsewhere."""
    entries = [entry for entry in data["tasks"] if entry.get("answer") == "labels"]
    lines = ["first generated token".ljust(28) + "".join(f"{one:<14}" for one in METHODS)]
    for entry in entries:
        cells = "".join(f"{_value(entry[one], 'first_token'):<14.2f}" for one in METHODS)
        lines.append(f"{in_one_line(_named(entry, data)):<28}{cells}".rstrip())
    lines.append("The table above counts the likeliest of the task's labels; so do its curves.")
    return "\n".join(lines) if entries else ""


def _line(name: str, figures: Mapping[str, list[float]]) -> str:
    cells = "".join(
        f"{first:<7.2f}{prefix:<8.2f}{exact:<13.2f}" for first, prefix, exact in figures.values()
    )
    return f"{name:<28}{cells}".rstrip()


def _named(entry: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    several = len({one["seed"] for one in data["tasks"]}) > 1
    return f"{entry['task']} seed {entry['seed']}" if several else str(entry["task"])


def _value(cell: Mapping[str, Any], way: str) -> float:
    return float(cell["accuracy"] if way == "exact" else cell[way]["accuracy"])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)

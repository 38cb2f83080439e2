"""The table of `--answer generate`: the same answers by first token, by prefix, and whole."""

from collections.abc import Mapping
from typing import Any

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

"""From the parts of results.json that `compare` writes to dataclasses."""

from collections.abc import Mapping
from typing import Any

from icl_vectors.report.comparison import Against, Compared, Comparison, MethodSummary
from icl_vectors.report.parse import accuracy_of, count_of, number_of, parse_each, text_of


def read_comparison(results: Mapping[str, Any], lacking: list[str]) -> Comparison | None:
    """The comparison of results.json, as far as it can be read; None where there is none."""
    if "compare" not in results:
        return None
    entries = parse_each(results["compare"], _compared, "compare", lacking)
    summary = parse_each(results.get("compare_summary"), _summary, "compare_summary", lacking)
    known = {one.method for one in entries}
    lacking += [f"compare: {m.method} has no entry" for m in summary if m.method not in known]
    return Comparison(
        entries=entries,
        summary=tuple(one for one in summary if one.method in known),
        arrows=parse_each(results.get("compare_arrows"), _compared, "compare_arrows", lacking),
        shots=parse_each(results.get("compare_shots"), _compared, "compare_shots", lacking),
    )


def _compared(value: Mapping[str, Any]) -> Compared:
    condition = value.get("arrow", value.get("shots", ""))
    return Compared(
        task=text_of(value["task"]),
        category=text_of(value.get("category") or "user"),
        method=text_of(value["method"]),
        of=text_of(value.get("of", "")),
        accuracy=accuracy_of(value, count_of(value["n"])),
        log_probability=number_of(value["log_probability"]),
        rank=number_of(value["rank"]),
        total_variation=number_of(value["total_variation"]),
        divergence=number_of(value["divergence"]),
        layer_tokens=count_of(value.get("layer_tokens", 0)),
        condition=str(condition) if isinstance(condition, str | int) else "",
        choice=dict(value.get("choice") or {}),
    )


def _summary(value: Mapping[str, Any]) -> MethodSummary:
    beats = value["beats_controls"]
    return MethodSummary(
        method=text_of(value["method"]),
        accuracy=number_of(value["accuracy"]),
        n=count_of(value["n"]),
        n_tasks=count_of(value["n_tasks"]),
        layer_tokens=count_of(value["layer_tokens"]),
        choosing=count_of(value["layer_tokens_choosing"]),
        ranking=count_of(value.get("ranking", 0)),
        seconds=number_of(value["seconds"]),
        jobs=count_of(value.get("jobs", 0)),
        against=tuple(
            Against(
                text_of(other),
                number_of(one["accuracy"]),
                count_of(one["won"]),
                count_of(one["lost"]),
                number_of(one["p"]),
            )
            for other, one in value["against"].items()
        ),
        beats_controls=None if beats is None else bool(beats),
    )

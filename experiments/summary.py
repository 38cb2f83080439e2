"""A sweep in one line of figures: means over tasks, and how far seeds differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from icl_vectors.experiments.measures import METHODS
from icl_vectors.runs.schema import BEGIN_ALIKE
from icl_vectors.scoring import entries_by_seed, mean, over_seeds


def summary(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over tasks (and seeds) of each method, and hypothesis / regular.

    With several seeds also `seeds`: each method's mean over tasks by seed, its mean, SD and 95 %
    interval over seeds (Student's t); of the tasks that have all seeds. Tasks whose answers begin
    alike are left out, which `left_out` says.
    """
    if alike := sorted({entry["task"] for entry in entries if entry.get("begin_alike")}):
        left = summary([entry for entry in entries if entry["task"] not in alike])
        return {**left, "left_out": dict.fromkeys(alike, BEGIN_ALIKE)}
    if not entries:
        return dict.fromkeys([*METHODS, "recovered"])
    means = {method: mean(entry[method]["accuracy"] for entry in entries) for method in METHODS}
    regular = means["regular"]
    found = {**means, "recovered": means["hypothesis"] / regular if regular else None}
    by_seed = entries_by_seed([(one["task"], one["seed"], one) for one in entries])
    return {**found, "seeds": _over_seeds(by_seed)} if len(by_seed) > 1 else found


def _over_seeds(by_seed: Mapping[int, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(by_seed)}
    for method in METHODS:
        values = [mean(one[method]["accuracy"] for one in group) for group in by_seed.values()]
        each = dict(zip(map(str, by_seed), values, strict=True))
        found[method] = {"by_seed": each, **over_seeds(values).to_json()}
    return found

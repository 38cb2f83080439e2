"""What is between vectors and in-context learning: the extraction, and that it is one vector."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from icl_vectors.report.statistics import Interval, mean_interval
from icl_vectors.report.table import Cell, Table, numbers, words
from icl_vectors.runs.run import REGULAR, Comparison
from icl_vectors.runs.schema import Against, Compared, MethodSummary
from icl_vectors.scoring import SIGNIFICANT

LEARNED = "learned"
HEAD = (
    "beside extracted vectors, paired (means over tasks, from three on with 95 % bootstrap "
    "interval; prompts won:lost; McNemar's p)"
)


class Gap(NamedTuple):
    """A fitted method between an extracted one and in-context learning.

    Attributes:
        gained: over the extracted one, mean over tasks; left: to regular, likewise.
        paired, to_regular: the same on the prompts.
    """

    method: MethodSummary
    extracted: str
    gained: Interval
    left: Interval
    paired: Against
    to_regular: Against


def gaps(entries: Sequence[Compared], summary: Sequence[MethodSummary]) -> Iterator[Gap]:
    """Every fitted method beside every extracted one, where both and regular were run."""
    shares: dict[str, dict[str, float]] = {}
    for entry in entries:
        if not entry.begin_alike:
            shares.setdefault(entry.method, {})[entry.task] = entry.accuracy
    for one in summary:
        for extracted, paired in one.beside.items():
            own, base, regular = (shares.get(n, {}) for n in (one.method, extracted, REGULAR))
            tasks = [task for task in own if task in base and task in regular]
            if tasks and REGULAR in one.against:
                gained = mean_interval([own[task] - base[task] for task in tasks])
                left = mean_interval([regular[task] - own[task] for task in tasks])
                to_regular = one.against[REGULAR]
                yield Gap(one, extracted, gained, left, paired, to_regular)


def gap_table(found: Comparison) -> Table | None:
    """The gaps as a table; None where nothing was fitted."""
    rows = [
        (
            one.method.method,
            one.extracted,
            Cell(f"{one.gained:+.2f}", one.gained.value),
            Cell(counts(one.paired), one.paired.p),
            Cell(f"{one.left:+.2f}", one.left.value),
            Cell(counts(one.to_regular), one.to_regular.p),
        )
        for one in gaps(found.entries, found.summary)
    ]
    if not rows:
        return None
    first = found.summary[0]
    columns = ("gained over it", "won : lost; p", "left to regular", "won : lost; p ")
    return Table.of(
        "gap",
        "Between extracted vectors and in-context learning",
        words("method", "beside") + numbers(*columns),
        rows,
        f"{first.n_tasks} tasks, {first.n} test prompts. What learned gains over an extracted "
        "vector is the extraction's fault: the same single state is replaced, only θ differs. What "
        "is then left to regular is the single vector's, as far as training found the best one; "
        "below 0, one vector gives more than the demonstrations of one prompt. "
        "linear gives every query a vector of its own. Differences: means over tasks, from three "
        "tasks on with 95 % bootstrap interval over tasks; won : lost: prompts that only the "
        "method or only the other got right, McNemar's exact two-sided p.",
    )


def gap_lines(data: Mapping[str, Any]) -> list[str]:
    """The same for the terminal, a line each."""
    summary = [MethodSummary.model_validate(o) for o in data["compare_summary"] if o.get("beside")]
    entries = [Compared.model_validate(one) for one in data["compare"] if not one.get("of")]
    if not summary:
        return []
    lines = ["", HEAD]
    for one in gaps(entries, summary):
        fault = rest = ""
        if one.method.method == LEARNED:
            fault = _cause(one.gained, one.paired, "the extraction's fault")
            rest = _cause(one.left, one.to_regular, "the single vector's")
        lines.append(
            f"{one.method.method:<16}beside {one.extracted}: {one.gained:+.2f} gained{fault}, "
            f"{counts(one.paired)}; {one.left:+.2f} left to regular{rest}, {counts(one.to_regular)}"
        )
    return lines


def _cause(difference: Interval, paired: Against, cause: str) -> str:
    """What a difference is owed to; nothing where chance explains it."""
    if paired.p >= SIGNIFICANT:
        return ""
    return f" ({cause})" if difference.value > 0 else f" (none is {cause})"


def counts(one: Against) -> str:
    """Prompts that only the one and only the other got right, with McNemar's p."""
    p = "p < .001" if one.p < 0.001 else f"p = {one.p:.3f}"
    return f"{one.won} : {one.lost}; {p}"

"""Accuracy against the number of demonstrations in the report."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from icl_vectors.plain_text import in_one_line
from icl_vectors.report import drawing
from icl_vectors.report.drawing import METHOD_COLOURS, Drawing
from icl_vectors.report.section import UNTESTED, Claim, Section, above_zero
from icl_vectors.report.statistics import FEWEST_TASKS, by_task, mean_interval, n_of
from icl_vectors.report.table import Table, interval, numbers, words
from icl_vectors.runs.run import Run
from icl_vectors.runs.schema import METHODS

ENOUGH = 0.9  # of a method's own best
MARKERS = {"baseline": ":", "hypothesis": "o-", "regular": "s--"}


def sections(run: Run) -> list[Section]:
    """The claim, the mean curve and a table of every task."""
    entries: Sequence[Any] = run.parts.get("shots", ())
    if not entries:
        return []
    claims = (theta_needs_fewer(entries),)
    title = "Against the number of demonstrations"
    return [Section("shots-of-theta", title, claims, (_curve(entries),), (_table(entries),))]


def text(data: Mapping[str, Any]) -> str:
    """One line a task and number of demonstrations, for the terminal."""
    lines = [f"{'task':<27}{'shots':>5}  " + "".join(f"{method:<19}" for method in METHODS)]
    for entry in data["shots"]:
        cells = "".join(f"{interval(entry[method]):<19}" for method in METHODS)
        name = in_one_line(entry["task"])
        lines.append(f"{name:<27}{entry['shots']:>5}  {cells}layer {entry['best_layer']}")
    return "\n".join(lines)


def theta_needs_fewer(entries: Sequence[Any]) -> Claim:
    """The fewest demonstrations at which each method is nearly as good as it gets."""
    verdict, ours = UNTESTED, "too few numbers of demonstrations or tasks"
    learned = [one for one in by_task(entries).values() if _is_learned(one)]
    if len(learned) >= FEWEST_TASKS:
        of_theta, of_regular = (
            [_fewest(own, method) for own in learned] for method in ("hypothesis", "regular")
        )
        saved = mean_interval([b - a for a, b in zip(of_theta, of_regular, strict=True)])
        verdict = above_zero(saved)
        ours = (
            f"θ {fmean(of_theta):.1f}, regular {fmean(of_regular):.1f} demonstrations on "
            f"{len(learned)} tasks; saved {saved}"
        )
    return Claim(
        "θ needs fewer demonstrations",
        "θ needs fewer demonstrations than in-context learning to be nearly as good as it gets.",
        "not in the paper",
        ours,
        verdict,
        f"For each task and method the fewest demonstrations with at least {ENOUGH:.0%} of the "
        "method's own best accuracy over the numbers that were run; the difference, regular − θ, "
        "its 95 % bootstrap interval over tasks above 0 holds, its mean above 0 weakly. Only tasks "
        "whose best hypothesis and best regular lie clearly above the baseline (95 % Wilson "
        f"intervals apart); not tested with fewer than {FEWEST_TASKS} of them.",
    )


def _is_learned(entries: Sequence[Any]) -> bool:
    baseline = max(one.baseline.high for one in entries)
    best = [max(getattr(one, m).low for one in entries) for m in ("hypothesis", "regular")]
    return len(entries) > 1 and min(best) > baseline


def _fewest(entries: Sequence[Any], method: str) -> int:
    best = max(getattr(one, method).accuracy for one in entries)
    enough = [one.shots for one in entries if getattr(one, method).accuracy >= ENOUGH * best]
    return int(min(enough))


def _table(entries: Sequence[Any]) -> Table:
    return Table.of(
        "shots_of_theta",
        "Every task at every number of demonstrations",
        words("task") + numbers("demonstrations", *METHODS, "best block", "n"),
        (
            (one.task, one.shots, *(getattr(one, m) for m in METHODS), one.best_layer, one.n)
            for one in entries
        ),
        "Accuracy on test prompts with 95 % Wilson intervals; the queries are the same at every "
        "number, the block is chosen on dev at each.",
    )


def _means(entries: Sequence[Any], method: str) -> dict[int, float]:
    counts = sorted({one.shots for one in entries})
    return {n: fmean(getattr(e, method).accuracy for e in entries if e.shots == n) for n in counts}


def _curve(entries: Sequence[Any]) -> Drawing:
    shown = "; ".join(
        f"{method} " + ", ".join(f"{n}: {mean:.2f}" for n, mean in _means(entries, method).items())
        for method in METHODS
    )
    return Drawing(
        name="shots_of_theta",
        title="Accuracy by number of demonstrations",
        caption=(
            f"Means over {len(by_task(entries))} task(s), {n_of(one.n for one in entries)} test "
            "prompts each. Hypothesis: θ from so many demonstrations, injected into the bare query "
            "at the block chosen on dev."
        ),
        alternative=f"Line chart of mean accuracy by number of demonstrations: {shown}.",
        draw=lambda: _draw(entries),
    )


def _draw(entries: Sequence[Any]) -> "drawing.Figure":
    labels = {"xlabel": "demonstrations", "ylabel": "mean accuracy on test"}
    figure, axes = drawing.new_axes(3.0, ylim=(-0.02, 1.02), **labels)
    for method in METHODS:
        means = _means(entries, method)
        places = range(len(means))  # evenly: the numbers double
        colour = METHOD_COLOURS[method]
        axes.plot(places, list(means.values()), MARKERS[method], color=colour, label=method)
        axes.set_xticks(list(places), list(map(str, means)))
    figure.legend(loc="outside upper center", ncols=3)
    return figure

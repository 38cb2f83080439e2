"""Every claim over several seeds of one model: its value, its interval, its verdicts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from icl_vectors.report.drawing import BLUE, GREEN, INK, VERMILION, Drawing, new_figure
from icl_vectors.report.section import FAILS, HOLDS, WEAKLY, Claim, Section, verdict_cell
from icl_vectors.report.statistics import seeds_interval
from icl_vectors.report.table import Cell, Column, Table, number
from icl_vectors.runs.run import Run

ORDER = (FAILS, WEAKLY, HOLDS)
COLOURS = (BLUE, VERMILION, GREEN)
OfSeed = tuple[int, Claim]


def claims_over_seeds(runs: Sequence[tuple[Run, Sequence[Section]]]) -> Section | None:
    """A table of every claim of each model, and one of every seed; None where no model has two.

    Args:
        runs: each with its sections; those of one seed count.
    """
    models: dict[tuple[str, str], dict[str, list[OfSeed]]] = {}
    for run, sections in runs:
        seeds = {one.seed for one in run.tasks}
        if len(seeds) == 1:
            claims, seed = models.setdefault((run.label, str(run.fingerprint)), {}), seeds.pop()
            for claim in (one for section in sections for one in section.claims):
                claims.setdefault(claim.name, []).append((seed, claim))
    several = {
        label: claims
        for (label, _), claims in models.items()
        if any(len({seed for seed, _ in found}) > 1 for found in claims.values())
    }
    if not several:
        return None
    figures = tuple(filter(None, (_values(several),)))
    return Section("seeds", "Over seeds", (), figures, (_summary(several), _every(several)))


def _summary(models: dict[str, dict[str, list[OfSeed]]]) -> Table:
    rows = [
        (
            Cell(name),
            Cell(label),
            _value(found),
            Cell(", ".join(f"{n} × {one}" for one, n in _counted(found).most_common())),
            verdict_cell(_median(found)),
        )
        for name in dict.fromkeys(name for claims in models.values() for name in claims)
        for label, claims in models.items()
        if (found := claims.get(name))
    ]
    return Table(
        "claims_over_seeds",
        "Claim by claim, over seeds",
        (
            Column("claim"),
            Column("model"),
            Column("value over seeds", True),
            Column("verdicts"),
            Column("in all"),
        ),
        tuple(rows),
        "The value is the number that the claim's rule is about (the rules stand with each run): "
        "its mean over seeds with Student's 95 % interval, and n. In all: the median of the seeds' "
        "verdicts, the lower one of two.",
    )


def _values(models: dict[str, dict[str, list[OfSeed]]]) -> Drawing | None:
    """Every claim's value, a dot a seed; None where no claim has one."""
    places: list[tuple[str, list[tuple[str, list[float]]]]] = []
    for name in dict.fromkeys(name for claims in models.values() for name in claims):
        own = [(label, _numbers(claims.get(name, ()))) for label, claims in models.items()]
        if own := [(label, values) for label, values in own if values]:
            places.append((name, own))
    if not places:
        return None
    shown = "; ".join(
        f"{name}: " + ", ".join(f"{label} {seeds_interval(values)}" for label, values in own)
        for name, own in places
    )
    return Drawing(
        "claims_over_seeds",
        "Every claim's value, seed by seed",
        "A faint dot a seed; the mean with its 95 % interval over seeds (Student's t). What the "
        "value is (a ratio, a difference, a share, a depth) the rule of each claim says.",
        f"Dot plot of each claim's value over seeds: {shown}.",
        lambda: _draw(places, list(models)),
    )


def _draw(places: Sequence[tuple[str, list[tuple[str, list[float]]]]], labels: list[str]) -> Any:
    figure = new_figure(0.7 + 0.28 * len(places) * (1 + len(labels)))
    axes = figure.subplots()
    for row, (_, own) in enumerate(places):
        for label, values in own:
            index = labels.index(label)
            colour, at = COLOURS[index % len(COLOURS)], row + (index + 1) / (len(labels) + 1) - 0.5
            mean = seeds_interval(values)
            axes.plot(values, [at] * len(values), "o", color=colour, alpha=0.35, markersize=4)
            if mean.low is not None and mean.high is not None:
                axes.plot([mean.low, mean.high], [at, at], color=colour, linewidth=1.2)
            axes.plot(mean.value, at, "D", color=colour, markersize=4.5)
    axes.set_yticks(range(len(places)), [name for name, _ in places])
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_xlabel("value")
    for index, label in enumerate(labels):
        axes.plot([], [], "D", color=COLOURS[index % len(COLOURS)], label=label)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _every(models: dict[str, dict[str, list[OfSeed]]]) -> Table:
    rows = [
        (
            Cell(name),
            Cell(label),
            number(seed, 0),
            Cell(claim.ours),
            verdict_cell(claim.verdict),
        )
        for label, claims in models.items()
        for name, found in claims.items()
        for seed, claim in found
    ]
    return Table(
        "claims_by_seed",
        "Every seed",
        (Column("claim"), Column("model"), Column("seed", True), Column("here"), Column("verdict")),
        tuple(rows),
        "Brackets are 95 % intervals over tasks.",
    )


def _value(found: Sequence[OfSeed]) -> Cell:
    if not (values := _numbers(found)):
        return Cell("–", float("-inf"))
    interval = seeds_interval(values)
    return Cell(f"{interval} (n = {len(values)})", interval.value)


def _numbers(found: Sequence[OfSeed]) -> list[float]:
    return [claim.value for _, claim in found if claim.value is not None]


def _counted(found: Sequence[OfSeed]) -> Counter[str]:
    return Counter(claim.verdict for _, claim in found)


def _median(found: Sequence[OfSeed]) -> str:
    """The median verdict of the seeds that were tested; that none was, where none was."""
    tested = sorted(ORDER.index(claim.verdict) for _, claim in found if claim.verdict in ORDER)
    return ORDER[tested[(len(tested) - 1) // 2]] if tested else found[0][1].verdict

"""Every claim over several seeds of one model: its value, its interval, its verdicts."""

from collections import Counter
from collections.abc import Sequence

from icl_vectors.report.section import FAILS, HOLDS, WEAKLY, Claim, Section, verdict_cell
from icl_vectors.report.statistics import seeds_interval
from icl_vectors.report.table import Cell, Column, Table, number
from icl_vectors.runs.run import Run

ORDER = (FAILS, WEAKLY, HOLDS)
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
    return Section("seeds", "Over seeds", tables=(_summary(several), _every(several)))


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
    values = [claim.value for _, claim in found if claim.value is not None]
    if not values:
        return Cell("–", float("-inf"))
    interval = seeds_interval(values)
    return Cell(f"{interval} (n = {len(values)})", interval.value)


def _counted(found: Sequence[OfSeed]) -> Counter[str]:
    return Counter(claim.verdict for _, claim in found)


def _median(found: Sequence[OfSeed]) -> str:
    """The median verdict of the seeds that were tested; that none was, where none was."""
    tested = sorted(ORDER.index(claim.verdict) for _, claim in found if claim.verdict in ORDER)
    return ORDER[tested[(len(tested) - 1) // 2]] if tested else found[0][1].verdict

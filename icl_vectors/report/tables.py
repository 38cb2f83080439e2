"""Which tables a run has, and the table of the claims."""

from collections.abc import Sequence

from icl_vectors.report.claims import claims_of
from icl_vectors.report.run import Run
from icl_vectors.report.statistics import task_means
from icl_vectors.report.table import Cell, Column, Table
from icl_vectors.report.tables_of_comparison import comparison_tables
from icl_vectors.report.tables_of_sweep import (
    categories_table,
    examples_table,
    models_table,
    seeds_table,
    tasks_table,
)
from icl_vectors.report.tables_of_vectors import (
    conflicts_table,
    nearest_table,
    vocabulary_table,
)
from icl_vectors.report.verdicts import Claim, verdict_cell


def tables_of(run: Run) -> list[Table]:
    """The tables for which the run has data."""
    found = [claims_table(claims_of(run))]
    if run.tasks:
        found.append(tasks_table(task_means(run.tasks)))
    if run.counted:
        found += [categories_table(task_means(run.counted)), models_table([run], [run.label])]
        seeds = seeds_table(run.counted)
        found += [seeds] if seeds else []
    if run.conflicts:
        found.append(conflicts_table(run.conflicts))
    if run.cluster and run.cluster.nearest:
        found.append(nearest_table(run.cluster))
    if run.vocabulary:
        found.append(vocabulary_table(run.vocabulary))
    if run.comparison and run.comparison.entries:
        found += comparison_tables(run.comparison)
    if run.examples:
        found.append(examples_table(run.examples))
    return found


def claims_table(claims: Sequence[Claim], name: str = "claims") -> Table:
    """Each claim with the paper's figure, ours, the verdict and its rule."""
    return Table(
        name,
        "Claim by claim",
        tuple(map(Column, ("claim", "the paper", "here", "verdict", "rule"))),
        tuple(
            (
                Cell(f"{claim.name}: {claim.statement}"),
                Cell(claim.paper),
                Cell(claim.ours),
                verdict_cell(claim.verdict),
                Cell(claim.rule),
            )
            for claim in claims
        ),
        "The rules stand in the program, the same for every run; none was tuned to a result. "
        "Brackets are 95 % intervals.",
    )

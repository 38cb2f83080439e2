"""Tables on the vectors: conflicting tasks, nearest tasks, tokens."""

from collections.abc import Sequence

from icl_vectors.report import paper
from icl_vectors.report.claims_of_vectors import conflict_verdict
from icl_vectors.report.run import Cluster, Conflict, Vocabulary
from icl_vectors.report.table import Cell, Column, Table, number, span, visible
from icl_vectors.report.verdicts import FAILS, HOLDS, MARKS, WEAKLY
from icl_vectors.scoring import Accuracy

TOKENS_SHOWN = 12
FOLLOWS = {HOLDS: "clearly", WEAKLY: "leaning", FAILS: "no"}


def conflicts_table(conflicts: Sequence[Conflict]) -> Table:
    """Conflicting tasks beside the paper's LLaMA 13B."""
    titles = ("regular: A", "regular: B", "θ of B: A", "θ of B: B")
    return Table(
        "conflicts",
        "Conflicting tasks",
        (
            Column("A → B"),
            Column("block", True),
            Column("n", True),
            *(Column(title, True) for title in titles),
            Column("follows B"),
            *(Column(f"paper: {title}", True) for title in titles),
        ),
        tuple(_conflict_row(one) for one in conflicts),
        "Demonstrations of A, without and with θ of B; share of answers right for A and for B with "
        "95 % Wilson intervals. The paper's are LLaMA 13B's.",
    )


def nearest_table(cluster: Cluster) -> Table:
    """The nearest task of each task."""
    nearest = cluster.nearest
    return Table(
        "clusters",
        "Nearest tasks",
        (Column("task"), Column("nearest task"), Column("mutual"), Column("expected beside it")),
        tuple(
            (
                Cell(task),
                Cell(near),
                Cell("yes" if nearest.get(near) == task else "no"),
                Cell(_natural(task)),
            )
            for task, near in nearest.items()
        ),
        f"At block {cluster.layer}, {cluster.per_task} vectors a task; silhouette "
        f"{cluster.silhouette:.2f}. Nearest by cosine distance of mean θ.",
    )


def vocabulary_table(vocabulary: Sequence[Vocabulary]) -> Table:
    """θ's top tokens, what it adds to the baseline state, and the paper's sets."""
    return Table(
        "vocabulary",
        "θ in words",
        (
            Column("task"),
            Column("block", True),
            Column("top tokens of θ (%)"),
            Column("top tokens without θ (%)"),
            Column("added by θ (percentage points)"),
            Column("in outputs", True),
            Column("the paper's tokens"),
        ),
        tuple(
            (
                Cell(one.task),
                number(one.layer, 0),
                Cell(_tokens(one.tokens)),
                Cell(_tokens(one.baseline)),
                Cell(_tokens(one.added, "+")),
                _in_outputs(one),
                Cell(paper.VOCABULARY.get(one.task, "–")),
            )
            for one in vocabulary
        ),
        "Mean θ through the final norm and the unembedding. A blank at a token's start is shown "
        "as ␣. In outputs: how many of the top tokens are also answers that the model gave.",
    )


def _conflict_row(one: Conflict) -> tuple[Cell, ...]:
    verdict = conflict_verdict(one)
    theirs = paper.CONFLICTS.get((one.a, one.b))
    papers = (
        (theirs.regular_a, theirs.regular_b, theirs.injected_a, theirs.injected_b)
        if theirs
        else (None,) * 4
    )
    return (
        Cell(f"{one.a} → {one.b}"),
        number(one.layer, 0),
        number(one.n, 0),
        *map(_share, (one.regular_a, one.regular_b, one.injected_a, one.injected_b)),
        Cell(FOLLOWS[verdict], mark=MARKS[verdict]),
        *map(number, papers),
    )


def _share(accuracy: Accuracy) -> Cell:
    return span(accuracy.accuracy, accuracy.low, accuracy.high)


def _natural(task: str) -> str:
    """The task that a reader would expect beside this one."""
    partners = {a: b for pair in paper.NATURAL_PAIRS for a, b in (pair, pair[::-1])}
    return partners.get(task, "–")


def _tokens(tokens: Sequence[tuple[str, float]], sign: str = "") -> str:
    shown = [f"{visible(token)} ({100 * share:{sign}.1f})" for token, share in tokens]
    return ", ".join(shown[:TOKENS_SHOWN]) or "–"


def _in_outputs(one: Vocabulary) -> Cell:
    if one.in_outputs is None:
        return number(None)
    count = round(one.in_outputs * len(one.tokens))
    return Cell(f"{count} of {len(one.tokens)}", one.in_outputs)

"""What is typed into the page, and what the public API finds for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError
from icl_vectors.layers import parse_layers
from icl_vectors.prompts.encoding import encode_to_arrow
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import load_template

if TYPE_CHECKING:
    from pandas import DataFrame

ALONE, CONFLICT = "θ of A", "θ of B in A's prompt"
MINUS, MEAN = "θ of A − θ of B", "mean of both"
USES = (ALONE, CONFLICT, MINUS, MEAN)
TOP = 10  # likeliest tokens that a cell shows
WORDS = 8  # tokens of θ that a block shows
QUERIES = 8  # drawn from a task


@dataclass(frozen=True)
class Bench:
    """Demonstrations and dummies, as typed."""

    pairs: tuple[tuple[str, str], ...]
    dummies: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Sequence[Any]], dummies: str) -> "Bench":
        """From the cells of a table, blank rows aside, and a text of one dummy a line."""
        cells = [[str(cell or "").strip() for cell in row] for row in rows]
        return cls(tuple((row[0], row[1]) for row in cells if any(row)), lines(dummies))

    def theta(self, model: Any, template: str) -> icl.TaskVector:
        """θ at every block."""
        if not self.pairs:
            raise IclVectorsError("expected demonstrations, found an empty table; fill some rows.")
        return icl.extract(model, self.pairs, self.dummies, template=template)


@dataclass(frozen=True)
class Asked:
    """All that decides what the page shows."""

    a: Bench
    b: Bench
    use: str
    queries: tuple[str, ...]
    template: str
    mode: str | None
    scale: float
    layers: str
    together: str

    @property
    def injection(self) -> dict[str, Any]:
        """How θ is injected, as `apply` takes it."""
        context = self.a.pairs if self.use == CONFLICT else None
        return {"mode": self.mode, "scale": self.scale, "demonstrations": context}


@dataclass(frozen=True)
class Found:
    """What a run found.

    Attributes:
        frame: as of `apply_by_layer`, with `top`.
        together: whole answers with θ injected at several blocks at once, by query.
        cosines: between θ of A and of B, by block.
    """

    asked: Asked
    theta: icl.TaskVector
    frame: "DataFrame"
    together: tuple[str, ...]
    cosines: tuple[float, ...]


def run(model: Any, asked: Asked) -> Found:
    """θ of the benches, injected at each block of every query.

    Raises:
        IclVectorsError: as `extract` and `apply_by_layer`; nothing is asked.
    """
    if not asked.queries:
        raise IclVectorsError("expected queries, one a line, found none.")
    a = asked.a.theta(model, asked.template)
    theta, cosines = a, ()
    if asked.use != ALONE:
        b = asked.b.theta(model, asked.template)
        cosines = tuple(a.cosine(b).tolist())
        theta = {CONFLICT: b, MINUS: a - b, MEAN: icl.TaskVector.mean([a, b])}[asked.use]
    frame = icl.apply_by_layer(
        model, theta, asked.queries, layers=asked.layers, top_k=TOP, **asked.injection
    )
    together: list[str] = []
    if asked.together:
        at = parse_layers(asked.together, model.n_layers)
        together = icl.apply(model, theta, asked.queries, layer=at, **asked.injection)
    return Found(asked, theta, frame, tuple(together), cosines)


def answer(model: Any, found: Found, query: str, layer: int) -> str:
    """The whole answer with θ injected at one block."""
    return str(icl.apply(model, found.theta, query, layer=layer, **found.asked.injection)[0])


def words(model: Any, found: Found) -> "DataFrame":
    """θ at each block as tokens, and what it adds to the state without it."""
    return icl.words(model, found.theta, found.asked.queries, top_k=WORDS)


def draw(task: icl.Task, shots: int, dummies: int, seed: int) -> tuple[Bench, tuple[str, ...]]:
    """Demonstrations, dummies and queries of a task, as `sweep` draws them for its first prompt."""
    count = max(1, min(QUERIES, len(task.pairs) - shots - dummies))
    drawn = sample_prompts(task, seed=seed, dev=0, test=count, shots=shots, dummies=dummies)[1]
    first = drawn[0]
    shown = {input for input, _ in first.demonstrations} | {*first.dummies}
    queries = [one.query for one in drawn if one.query not in shown]
    return Bench(first.demonstrations, first.dummies), tuple(dict.fromkeys(queries))


def tokens_of(model: Any, shown: Bench, queries: Sequence[str], template: str) -> list[str]:
    """The tokens of the first query's prompt; the last is the arrow, whose state θ is.

    Raises:
        IclVectorsError: this tokenizer joins the arrow with what follows.
    """
    form = load_template(template)
    text = form.prompt(shown.pairs, queries[0] if queries else "…")
    following = shown.pairs[0][1] if shown.pairs else None
    ids = encode_to_arrow(model.tokenizer, form, text, following)
    return [model.tokenizer.decode([token]) for token in ids]


def lines(text: str) -> tuple[str, ...]:
    """The lines of a text that are not blank."""
    return tuple(line.strip() for line in (text or "").split("\n") if line.strip())

"""Conflicting tasks: demonstrations of A in the prompt, θ of B injected; which one is followed?"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema, model_validator

from icl_vectors.engine.config import NotNegative, PromptsConfig, asked
from icl_vectors.engine.experiment import Experiment, Outcome, in_python
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.from_sweep import swept_entries
from icl_vectors.experiments.measures import are_right, sample
from icl_vectors.prompts.sampling import Prompt, require_pairs, sample_prompts, telling
from icl_vectors.runs.folder import Unit
from icl_vectors.scoring import accuracy
from icl_vectors.tasks.choose import PAPER_PAIRS, parse_pairs
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context

WAYS = ("regular", "injected")
Pair = tuple[InstanceOf[Task], InstanceOf[Task]]
Pairs = Annotated[
    tuple[Pair, ...],
    BeforeValidator(parse_pairs),
    PlainSerializer(
        lambda pairs: {f"{a.name}:{b.name}": [a.fingerprint, b.fingerprint] for a, b in pairs}
    ),
    WithJsonSchema({"type": "object"}),
]


class ConflictConfig(PromptsConfig):
    """What `conflict` is asked for."""

    of_sweep = frozenset({"dev"})

    pairs: Pairs = asked(PAPER_PAIRS, "A:B,… of task names.")
    shots: NotNegative = asked(4, "Demonstrations in a prompt.")

    @model_validator(mode="after")
    def _require_pairs_of_both(self) -> Self:
        # the query is taken out before the demonstrations are drawn: one pair more is needed
        tasks = [task for pair in self.pairs for task in pair]
        require_pairs(tasks, self.shots, self.dummies, queries=2)
        return self


class Conflict(Experiment):
    """Demonstrations of task A, θ of task B: which one is followed?

    Queries are inputs that both tasks accept and answer differently. The layer is B's best on
    dev, from the folder's sweep, which is run where there is none (paper, section 4.2, table 3).

    Example: icl-vectors conflict --pairs next_letter:to_upper --output runs/first
    """

    name = "conflict"
    Config = ConflictConfig
    config: ConflictConfig

    def __init__(self, model: Any, config: ConflictConfig, at: Any) -> None:
        super().__init__(model, config, at)
        self.queries = {(a.name, b.name): shared_inputs(a, b) for a, b in config.pairs}
        of_b = list({b.name: b for _, b in config.pairs}.values())
        entries = swept_entries(model, config, of_b, at)
        self.layers = {name: int(entry["best_layer"]) for name, entry in entries.items()}

    def configuration(self) -> dict[str, Any]:
        return self.config.recorded(layers=self.layers)

    def units(self) -> list[Unit]:
        return [(f"{a.name}:{b.name}", self.config.seed) for a, b in self.config.pairs]

    def measure(self, unit: Unit, context: "Context") -> Outcome:
        from icl_vectors.graph.experiments import run_conflict
        from icl_vectors.prompts.batches import make_batches

        a, b = next(
            pair for pair in self.config.pairs if unit[0] == f"{pair[0].name}:{pair[1].name}"
        )
        prompts = self._prompts(a, b)
        of_a, of_b = (context.encode([pair[side] for pair in prompts]) for side in (0, 1))
        whole = [replace(one, alone=one.shared + one.suffixes[0]) for one in of_a]
        layer = self.layers[b.name]

        def run(size: int) -> dict[str, Any]:
            batches_b = make_batches(of_b, size, self.model.way, with_query=False)
            batches_a = make_batches(whole, size, self.model.way)
            job = context.job(f"batch {size}")
            return run_conflict(self.model, batches_b, batches_a, layer, job=job)

        found = context.run(run, [*whole, *of_b])
        context.require_finite(found["finite"], "states or logits")
        columns = dict(zip(WAYS, found["answers"].T.tolist(), strict=True))
        result: dict[str, Any] = {"a": a.name, "b": b.name, "layer": layer, "n": len(prompts)}
        for way, tokens in columns.items():
            result[way] = {
                side: accuracy(are_right(tokens, encoded)).to_json()
                for side, encoded in (("a", of_a), ("b", of_b))
            }
        samples = [
            {
                **sample(self.model.tokenizer, one, way, at, tokens[row]),
                "task": unit[0],
                "correct_b": tokens[row] in two.accepted,
            }
            for row, (one, two) in enumerate(zip(of_a, of_b, strict=True))
            for (way, tokens), at in zip(columns.items(), (None, layer), strict=True)
        ]
        return Outcome(result, [replace(one, task=unit[0]) for one, _ in prompts], samples)

    @staticmethod
    def line(result: Mapping[str, Any]) -> str:
        cells = "  ".join(
            f"{way} A {result[way]['a']['accuracy']:.2f} B {result[way]['b']['accuracy']:.2f}"
            for way in WAYS
        )
        about = f"layer {result['layer']}, n {result['n']}"
        return f"{result['a']} → {result['b']}: {cells}  ({about})"

    @staticmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for pair in data["conflict"]:
            about = {"a": pair["a"], "b": pair["b"], "layer": pair["layer"], "n": pair["n"]}
            for way in WAYS:
                for side in ("a", "b"):
                    yield {**about, "prompt": way, "right_for": side, **pair[way][side]}

    def _prompts(self, a: Task, b: Task) -> list[tuple[Prompt, Prompt]]:
        """Prompts of A and of B with the same query, each with demonstrations of its own."""
        config = self.config
        shared = dict.fromkeys(self.queries[a.name, b.name], "x")
        common = Task.from_pairs(f"{a.name}:{b.name}", shared)
        none: dict[str, Any] = {"dev": 0, "shots": 0, "dummies": 0}
        asked = sample_prompts(common, seed=config.seed, test=config.test, **none)[1]

        def own(task: Task, number: int, one: Prompt) -> Prompt:
            hidden = telling(task, one.query)
            others = replace(task, pairs=tuple(p for p in task.pairs if p[0] not in hidden))
            drawn = config.drawn(others, dev=0, test=1, seed=config.seed + 7919 * number)[1][0]
            about: dict[str, Any] = {"id": one.id, "seed": config.seed, "query": one.query}
            return replace(drawn, answers=task.answers[one.query], **about)

        return [(own(a, number, one), own(b, number, one)) for number, one in enumerate(asked)]


def shared_inputs(a: Task, b: Task) -> list[str]:
    """Inputs that both tasks accept and answer differently.

    Raises:
        IclVectorsError: there are none.
    """
    common = sorted(set(a.inputs) & set(b.inputs))
    differing = [
        query
        for query in common
        if not {out.casefold() for out in a.answers[query]}
        & {out.casefold() for out in b.answers[query]}
    ]
    if not differing:
        raise IclVectorsError(
            f"--pairs {a.name}:{b.name}: expected inputs that both tasks accept and answer "
            f"differently, found {len(common)} in common and none such."
        )
    return differing


conflict = in_python(Conflict)
"""`conflict(model, …)` runs the experiment; its options are the fields of `ConflictConfig`."""

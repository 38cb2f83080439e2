"""What θ says: its top tokens through the final norm and the unembedding."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_vectors.engine.config import ALL_TASKS, Config, Flag, Layer, Positive, Tasks, asked
from icl_vectors.engine.experiment import Experiment, Outcome, in_python
from icl_vectors.experiments.from_sweep import swept_entries
from icl_vectors.layers import parse_layer
from icl_vectors.prompts.encoding import encode_to_arrow
from icl_vectors.runs.folder import Unit
from icl_vectors.runs.recovery import lines_of_sweep
from icl_vectors.scoring import stable

if TYPE_CHECKING:
    from torch import Tensor

    from icl_vectors.engine.context import Context

ABOVE_BEST = 2  # blocks; where the authors' code projects θ
FETCHED = 400  # tokens that come back, from which words are filtered


class VocabularyConfig(Config):
    """What `vocabulary` is asked for."""

    of_sweep = frozenset({"test", "dev"})

    tasks: Tasks = asked("all", ALL_TASKS)
    layer: Layer = asked(None, "A block; by default each task's best + 2, and the best.")
    top: Positive = asked(20, "Tokens shown.")
    raw: Flag = asked(False, "All tokens, not only words.")


class Vocabulary(Experiment):
    """θ as words: its top tokens through the unembedding.

    θ goes through the model's final norm and unembedding. It is the mean over the sweep's test
    prompts; the mean state of the same queries alone is the baseline, so that what θ adds is seen
    (paper, section 4.3, table 4).

    Example: icl-vectors vocabulary --tasks country_capital --output runs/first
    """

    name = "vocabulary"
    Config = VocabularyConfig
    config: VocabularyConfig

    def __init__(self, model: Any, config: VocabularyConfig, at: Any) -> None:
        super().__init__(model, config, at)
        given = config.layer
        self.layer = None if given is None else parse_layer(given, model.n_layers)
        self.entries = swept_entries(model, config, config.tasks, at, source=None)
        self.answered, self.queries = _from_sweep(at.path, config.seed)

    def configuration(self) -> dict[str, Any]:
        return self.config.recorded(layer=self.layer)

    def units(self) -> list[Unit]:
        return [(task.name, self.config.seed) for task in self.config.tasks]

    def measure(self, unit: Unit, context: "Context") -> Outcome:
        from icl_vectors.engine.check import require_checked
        from icl_vectors.graph.experiments import run_projection
        from icl_vectors.prompts.batches import whole_prompts
        from icl_vectors.vectors.vector import TaskVector

        model, form, task = self.model, self.config.template, unit[0]
        layers = [self.layer] if self.layer is not None else self._default_layers(task)
        require_checked(model, form)
        theta = TaskVector.load(context.folder.vector_path(*unit))
        theta.require_model(model)
        texts = [form.query(query) for query in self.queries[task]]
        ids = [encode_to_arrow(model.tokenizer, form, text, None) for text in texts]
        vectors = theta.only(layers).vectors  # (layer, hidden)
        fetched = min(max(FETCHED, self.config.top), model.config.vocab_size)
        prompts, job = whole_prompts(ids, model.way), context.job("whole")
        found = run_projection(model, vectors, prompts, layers, fetched, job)
        context.require_finite(found["finite"], "the logits")
        entries = [self._entry(task, found, row, at) for row, at in enumerate(layers)]
        return Outcome({"entries": entries})

    def summarise(self, done: Mapping[Unit, Mapping[str, Any]]) -> dict[str, Any]:
        return {"vocabulary": [one for result in done.values() for one in result["entries"]]}

    @staticmethod
    def line(result: Mapping[str, Any]) -> str:
        first = result["entries"][0]
        words = ", ".join(token["token"].strip() for token in first["tokens"][:8])
        return f"{first['task']}: layer {first['layer']}: {words}"

    @staticmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for entry in data["vocabulary"]:
            for of in ("tokens", "baseline", "added"):
                for rank, token in enumerate(entry[of], 1):
                    value = token.get("probability", token.get("difference"))
                    about = {"task": entry["task"], "layer": entry["layer"], "of": of}
                    yield {**about, "rank": rank, "token": token["token"], "value": value}

    def _default_layers(self, task: str) -> list[int]:
        best = self.entries[task]["best_layer"]
        return list(dict.fromkeys([min(best + ABOVE_BEST, self.model.n_layers - 1), best]))

    def _entry(self, task: str, found: Mapping[str, Any], row: int, layer: int) -> dict[str, Any]:
        entry: dict[str, Any] = {"task": task, "layer": layer}
        for kind, name, figure in (
            ("theta", "tokens", "probability"),
            ("baseline", "baseline", "probability"),
            ("added", "added", "difference"),
        ):
            words = self._words(*(part[row] for part in found[kind]))
            entry[name] = [{"token": token, figure: value} for token, value in words]
        said = [one["token"].strip().casefold() in self.answered[task] for one in entry["tokens"]]
        share = sum(said) / len(said) if said else None
        return {**entry, "in_outputs": share, "n": len(self.queries[task])}

    def _words(self, values: "Tensor", tokens: "Tensor") -> list[tuple[str, float]]:
        """The likeliest tokens as text; without `raw` only those that consist of letters."""
        texts = map(self.model.tokenizer.decode, tokens.unsqueeze(-1).tolist())
        listed = zip(texts, values.tolist(), strict=True)
        words = (
            (t, stable(value)) for t, value in listed if self.config.raw or t.strip().isalpha()
        )
        return list(islice(words, self.config.top))


def _from_sweep(folder: Path, seed: int) -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """What the model answered on test, with and without θ, and the test queries, by task."""
    answered: dict[str, set[str]] = {}
    for sample in lines_of_sweep(folder / "samples.jsonl"):
        if sample["split"] == "test" and sample["seed"] == seed:
            known = answered.setdefault(sample["task"], set())
            if sample["method"] in ("hypothesis", "regular"):
                known.add(sample["prediction"].strip().casefold())
    queries: dict[str, list[str]] = {}
    for prompt in lines_of_sweep(folder / "prompts.jsonl"):
        if prompt["split"] == "test" and prompt["seed"] == seed:
            queries.setdefault(prompt["task"], []).append(prompt["query"])
    return answered, queries


vocabulary = in_python(Vocabulary)
"""`vocabulary(model, …)` runs the experiment; its options are the fields of `VocabularyConfig`."""

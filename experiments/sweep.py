"""The paper's experiment: baseline, hypothesis and regular for each task, the layer from dev."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import model_validator

from icl_vectors.engine.config import (
    ALL_TASKS,
    CANDIDATES,
    DEMONSTRATIONS,
    INSTRUCTION,
    Layers,
    PromptsConfig,
    Seeds,
    Tasks,
    asked,
    instructed,
    one_of,
)
from icl_vectors.engine.experiment import Experiment, Outcome, in_python
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.few_labels import best_apart, dummy_answers, label_measures
from icl_vectors.experiments.generated import (
    COMPARISON_OF_GENERATED,
    generate_answers,
    generated_samples,
    with_generated,
)
from icl_vectors.experiments.measures import (
    COMPARISON,
    METHODS,
    samples_of,
    unit_result,
    with_first_tokens,
)
from icl_vectors.experiments.summary import summary
from icl_vectors.experiments.swept import swept
from icl_vectors.layers import parse_layers
from icl_vectors.plain_text import in_one_line, spark_line
from icl_vectors.prompts.answers import answer_bound
from icl_vectors.prompts.labels import COMPARISON_OF_LABELS, labels_of, require_labels
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.runs.folder import Unit
from icl_vectors.runs.schema import faults_of
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context
    from icl_vectors.vectors.vector import TaskVector


class SweepConfig(PromptsConfig):
    """What a sweep is asked for."""

    tasks: Tasks = asked("all", ALL_TASKS)
    layers: Layers = asked("all", CANDIDATES)
    seeds: Seeds = asked(None, "Several seeds: 41,42,…")
    answer: Annotated[str, one_of("first-token", "generate", "labels")] = asked(
        "first-token", "What is compared: first-token, generate (whole answers), or labels"
    )
    theta_source: Annotated[str, one_of(DEMONSTRATIONS, INSTRUCTION)] = asked(
        DEMONSTRATIONS, "What stands before the arrow where θ is read: demonstrations, instruction"
    )
    choose_layer: Annotated[str, one_of("accuracy", "apart")] = asked(
        "accuracy", "The layer by dev accuracy, or by apart: where no dummy gives the answer."
    )

    @model_validator(mode="after")
    def _require_labels(self) -> Self:
        if self.answer == "labels":
            require_labels(self.tasks)
        return self

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of `seeds`, or the one of `seed`."""
        return self.seeds or (self.seed,)

    @property
    def generates(self) -> bool:
        """Whether whole answers are generated and compared, not only their first tokens."""
        return self.answer == "generate"

    @property
    def units(self) -> list[Unit]:
        return [(task.name, seed) for task in self.tasks for seed in self.all_seeds]

    def task(self, unit: Unit) -> Task:
        return next(task for task in self.tasks if task.name == unit[0])

    def prompts(self, unit: Unit) -> tuple[list[Prompt], list[Prompt]]:
        """Dev and test prompts of one unit."""
        task = self.task(unit)
        dev, test = self.drawn(task, seed=unit[1])
        if self.reads_demonstrations_alone:
            return dev, test
        return instructed(task, dev), instructed(task, test)


class Sweep(Experiment):
    """Baseline, hypothesis (θ injected) and regular for each task.

    How much of in-context learning one task vector carries (paper, section 3). For each task and
    seed: the layer is chosen on dev prompts (highest accuracy with θ injected, ties to the lowest)
    and baseline, hypothesis and regular are reported on test prompts.

    Example: icl-vectors sweep --tasks country_capital,antonyms --output runs/first
    """

    name = "sweep"
    Config = SweepConfig
    config: SweepConfig
    goes_on = True

    def __init__(self, model: Any, config: SweepConfig, at: Any) -> None:
        super().__init__(model, config, at)
        self.layers = parse_layers(config.layers, model.n_layers)

    def units(self) -> list[Unit]:
        return self.config.units

    def configuration(self) -> dict[str, Any]:
        by_accuracy = self.config.choose_layer == "accuracy"
        comparisons = {"generate": COMPARISON_OF_GENERATED, "labels": COMPARISON_OF_LABELS}
        found = self.config.recorded(
            seeds=list(self.config.all_seeds),
            layers=list(self.layers),
            choose_layer=None if by_accuracy else self.config.choose_layer,  # as in older folders
            comparison=comparisons.get(self.config.answer, COMPARISON),
        )
        return {key: value for key, value in found.items() if key != "seed"}

    def refused(self) -> dict[Unit, str]:
        """Units whose longest prompt can't be encoded, or too few of whose prompts can.

        Raises:
            IclVectorsError: none can be.
        """
        from icl_vectors.prompts.encoding import Joined
        from icl_vectors.prompts.limits import encode_most, encode_prompts

        failures: dict[Unit, str] = {}
        errors = []
        for unit in self.units():
            try:
                dev, test = self.config.prompts(unit)
                for part, tokens in ((dev, 0), (test, self._new_tokens(test))):
                    try:
                        longest = [max(part, key=_length)]
                        encode_prompts(self.model, self.config.template, longest, tokens)
                    except Joined:
                        encode_most(self.model, self.config.template, part, tokens)
            except IclVectorsError as error:
                failures[unit] = str(error)
                errors.append(error)
        if len(failures) == len(self.units()):
            raise errors[0]
        return failures

    def measure(self, unit: Unit, context: "Context") -> Outcome:
        config, model, layers = self.config, self.model, self.layers
        task, (dev_prompts, test_prompts) = config.task(unit), config.prompts(unit)
        dev = context.encode(dev_prompts, leave_out=True)
        test = context.encode(test_prompts, self._new_tokens(test_prompts), leave_out=True)
        every = [*dev, *test]
        labels = labels_of(config.answer, model.tokenizer, config.template, task, every)
        if labels is not None:
            dev, test = labels.answered(dev), labels.answered(test)
        of_dummies = dummy_answers(model.tokenizer, config.template, task, every, labels)
        by_apart = config.choose_layer == "apart"
        choose = partial(best_apart, dev, layers, of_dummies) if by_apart else None

        found = swept(context, dev, test, layers, choose, labels)
        result = unit_result(task, unit[1], dev, test, layers, model.n_layers, found)
        decoder = labels or model.tokenizer
        samples, generated = list(samples_of(decoder, dev, test, layers, found)), None
        if labels is not None:
            result = with_first_tokens(result, test, found)
        if config.generates:
            generated = generate_answers(context, test, result["best_layer"])
            result = with_generated(result, test, generated)
            samples = generated_samples(samples, test, generated)
        copies, sizes = result["copies_dummies"], (layers, model.n_layers)
        result |= label_measures(dev, test, *sizes, found, of_dummies, copies, generated)
        path = self._vector(unit, found).save(context.folder.vector_path(*unit))
        return Outcome(result, [one.prompt for one in [*dev, *test]], samples, [path])

    def summarise(self, done: Mapping[Unit, Mapping[str, Any]]) -> dict[str, Any]:
        entries = [dict(entry) for entry in done.values()]
        return {"tasks": entries, "summary": summary(entries)}

    @staticmethod
    def line(result: Mapping[str, Any]) -> str:
        cells = "  ".join(f"{method} {result[method]['accuracy']:.2f}" for method in METHODS)
        flag = f"  {'; '.join(faults)}" if (faults := faults_of(result)) else ""
        by_layer = spark_line(result["dev_accuracy_by_layer"])
        name = in_one_line(result["task"])
        return f"{name:<27}{cells}  layer {result['best_layer']:>2}  {by_layer}{flag}"

    @staticmethod
    def rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for entry in data["tasks"]:
            about = {key: entry[key] for key in ("task", "category", "seed")}
            for method in METHODS:
                layer = entry["best_layer"] if method == "hypothesis" else None
                count = {"layer": layer, "n": entry["n_test"]}
                yield {**about, "split": "test", "method": method, **count, **entry[method]}
            for layer, value in enumerate(entry["dev_accuracy_by_layer"]):
                if value is not None:
                    on_dev = {"split": "dev", "method": "hypothesis", "layer": layer}
                    yield {**about, **on_dev, "n": entry["n_dev"], "accuracy": value}

    def _new_tokens(self, test: Sequence[Prompt]) -> int:
        """Tokens generated after each test prompt; 0 where only the first one is compared."""
        answers = (text for prompt in test for text in prompt.answers)
        return answer_bound(self.model.tokenizer, answers) if self.config.generates else 0

    def _vector(self, unit: Unit, found: Mapping[str, Any]) -> "TaskVector":
        from icl_vectors.vectors.vector import TaskVector

        config = self.config
        return TaskVector.of_model(
            self.model,
            config.template,
            found["theta"].float(),
            instruction="" if config.reads_demonstrations_alone else config.task(unit).instruction,
            task=unit[0],
            best_layer=int(found["best"]),
            seed=unit[1],
        )


def _length(prompt: Prompt) -> int:
    """Characters of a prompt's texts, the longest dummy in the query's place."""
    shown = [text for pair in prompt.demonstrations for text in pair]
    return sum(map(len, shown)) + max(map(len, [prompt.query, *prompt.dummies]))


sweep = in_python(Sweep)
"""`sweep(model, …)` runs the experiment; its options are the fields of `SweepConfig`."""

"""One task's prompts in a comparison, as batches: sound, shuffled, other arrows, other shots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from icl_vectors.experiments.compare.config import CompareConfig
from icl_vectors.methods.method import Method
from icl_vectors.methods.prepare import (
    Contexts,
    add_taught,
    corrupted_prompts,
    method_batches,
    shuffled,
    split_dev,
    taught,
    with_answers_of_others,
)
from icl_vectors.models.memory import choose_batch_size
from icl_vectors.models.model import Model
from icl_vectors.prompts.batches import Batch
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.labels import Labels, labels_of
from icl_vectors.prompts.limits import encode_prompts
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import Task

Variant = dict[str, Any]  # see `run_method`


@dataclass(frozen=True)
class TaskPrompts:
    """Dev and test prompts of one task, encoded.

    Attributes:
        size: prompts at once.
        labels: the task's, where these are compared; `accepted` of the prompts is then theirs.
    """

    model: Model
    config: CompareConfig
    task: Task
    dev: Sequence[EncodedPrompt]
    test: Sequence[EncodedPrompt]
    size: int
    labels: Labels | None = None

    @classmethod
    def make(cls, model: Model, config: CompareConfig, task: Task) -> "TaskPrompts":
        """Encode a task's prompts.

        Raises:
            IclVectorsError: the tokenizer joins an arrow with its answer, or a prompt is too long.
        """
        encoded = [encode_prompts(model, config.template, part) for part in config.prompts(task)]
        every = [*encoded[0], *encoded[1]]
        size = config.batch_size or choose_batch_size(model, every)
        labels = labels_of(config.answer, model.tokenizer, config.template, task, every)
        dev, test = (labels.answered(part) if labels else part for part in encoded)
        return cls(model, config, task, dev, test, size, labels)

    @property
    def decoder(self) -> Any:
        """What makes text of an answer."""
        return self.labels or self.model.tokenizer

    def encode(
        self, prompts: Sequence[Prompt], template: Template | None = None
    ) -> list[EncodedPrompt]:
        """Prompts as tokens, with labels as accepted answers where these are compared."""
        encoded = encode_prompts(self.model, template or self.config.template, prompts)
        return self.labels.answered(encoded) if self.labels else encoded

    def batches(
        self,
        method: Method,
        prompts: Sequence[EncodedPrompt],
        size: int,
        *,
        contexts: Sequence[EncodedPrompt] | None = None,
        template: Template | None = None,
    ) -> list[Batch]:
        """Batches for a method; `contexts` are the dev prompts where not given."""
        labels = self.labels if prompts[0].first else None
        if labels and template:
            labels = Labels.make(self.model.tokenizer, template, self.task, prompts)
        return method_batches(
            self.model,
            template or self.config.template,
            method,
            prompts,
            Contexts(self.dev if contexts is None else contexts),
            size,
            self.config.seed,
            labels,
        )

    def contexts(self, method: Method, dev: Sequence[EncodedPrompt], size: int) -> list[Batch]:
        """The dev prompts that a method averages over or is fitted on, if it does, as batches."""
        used, _ = split_dev(method, dev)
        batches = self.batches(method, used, size, contexts=dev) if used else []
        if batches and "taught" in method.inputs:
            pairs = self.taught(method, dev)
            add_taught(batches, self.model, self.config.template, pairs, size)
        return batches

    def taught(self, method: Method, dev: Sequence[EncodedPrompt]) -> list[Prompt]:
        """The pairs that a method is trained on."""
        parts = (*split_dev(method, dev), self.test)
        return taught(*([one.prompt for one in part] for part in parts))

    def corrupted(self, method: Method, size: int, most: int) -> list[Batch]:
        """Some dev prompts with shuffled answers, whole up to their arrow as "queries alone"."""
        whole = corrupted_prompts(self.model, self.config.template, self.dev[:most])
        return self.batches(method, whole, size)

    def of_dummies(self, method: Method, size: int) -> list[Variant]:
        """The test prompts with a dummy in place of the query, for each dummy."""
        asked = [
            [replace(one, suffixes=(one.suffixes[n], *one.suffixes[1:])) for one in self.test]
            for n in range(1, self.config.dummies + 1)
        ]
        return [variant(puts=self.batches(method, each, size)) for each in asked]

    def variants(
        self, method: Method, given: Mapping[str, Tensor], size: int
    ) -> dict[str, Variant]:
        """The method's controls by name, then "arrow …" and "shots …"."""
        found: dict[str, Variant] = {}
        for control in self.config.controls:
            if control == "random":
                found[control] = variant(noise=self.config.seed)
            elif control == "shuffled":
                found[control] = self._shuffled(method, size)
            elif control in given:
                found[control] = variant(given=given[control])
        for template in self.config.templates:
            test = self.encode([one.prompt for one in self.test], template)
            puts = self.batches(method, test, size, template=template)
            found[f"arrow {template.arrow}"] = variant(puts=puts)
        for shots in self.config.further_shots:
            found[f"shots {shots}"] = self.at_shots(method, shots, size)
        return found

    def at_shots(self, method: Method, shots: int, size: int) -> Variant:
        """Vectors from prompts of another number of demonstrations, the queries being the same."""
        dev, test = (self.encode(prompts) for prompts in self.config.prompts(self.task, shots))
        reads = self.batches(method, test, size, contexts=dev)
        return variant(
            contexts=self.contexts(method, dev, size) if method.pooled else None,
            reads=reads,
            puts=reads if "whole" in method.inputs else None,
        )

    def scored(self, name: str) -> Sequence[EncodedPrompt]:
        """The test prompts with the tokens that a variant's answers are compared with."""
        for template in self.config.templates:
            if name == f"arrow {template.arrow}":
                return self.encode([one.prompt for one in self.test], template)
        return self.test

    def _shuffled(self, method: Method, size: int) -> Variant:
        if not method.pooled:
            wrong = self.encode([shuffled(one.prompt) for one in self.test])
            return variant(reads=self.batches(method, wrong, size))
        moved = with_answers_of_others([shuffled(one.prompt) for one in self.dev])
        return variant(contexts=self.contexts(method, self.encode(moved), size))


def variant(
    *,
    contexts: Sequence[Batch] | None = None,
    reads: Sequence[Batch] | None = None,
    puts: Sequence[Batch] | None = None,
    given: Tensor | None = None,
    noise: int | None = None,
) -> Variant:
    """A way to get vectors for the test prompts; without arguments, the method's own."""
    return {"contexts": contexts, "reads": reads, "puts": puts, "given": given, "noise": noise}

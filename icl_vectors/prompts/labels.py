"""The labels of a task as answers: their tokens in context, and batches that tell them apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from icl_vectors.errors import IclVectorsError, UnitRefused
from icl_vectors.prompts.encoding import EncodedPrompt, answer_tokens
from icl_vectors.prompts.sampling import FEW_LABELS
from icl_vectors.prompts.template import Template
from icl_vectors.tasks.task import Task

if TYPE_CHECKING:
    from icl_vectors.prompts.batches import Batch, Way

COMPARISON_OF_LABELS = (
    "the likeliest of the task's labels (by first tokens, read in context; labels that share one "
    "by the log-probability of all their tokens) is an accepted answer; first_token: the first "
    "generated token begins one"
)


def require_labels(tasks: Sequence[Task]) -> None:
    """Refuse tasks whose answers are no labels.

    Raises:
        IclVectorsError: naming them.
    """
    many = [f"{one.name} has {n}" for one in tasks if not 2 <= (n := len(one.labels)) <= FEW_LABELS]
    if many:
        raise IclVectorsError(
            f"--answer labels: expected tasks of 2 to {FEW_LABELS} labels (distinct outputs), "
            f"found others: {', '.join(many)}; leave them out, or compare their first tokens."
        )


@dataclass(frozen=True)
class Labels:
    """The labels of a task in one context.

    Attributes:
        tokens: of each label, as they follow the arrow.
    """

    task: Task
    tokens: tuple[tuple[int, ...], ...]

    @classmethod
    def make(
        cls, tokenizer: Any, template: Template, task: Task, prompts: Sequence[EncodedPrompt]
    ) -> "Labels":
        """The labels' tokens after every query.

        Raises:
            UnitRefused: they are not the same after each, or a label's tokens begin another's.
        """
        contexts = {
            tuple(answer_tokens(tokenizer, template, query, label) for label in task.labels)
            for query in {template.query(one.prompt.query) for one in prompts}
        }
        tokens = next(iter(contexts))
        if len(contexts) > 1:
            raise UnitRefused(
                f"task {task.name}: expected labels of the same tokens after every query, found "
                f"{len(contexts)} cuts of this tokenizer; compare first tokens."
            )
        for label, own in zip(task.labels, tokens, strict=True):
            for other, longer in zip(task.labels, tokens, strict=True):
                if other != label and longer[: len(own)] == own:
                    raise UnitRefused(
                        f"task {task.name}: expected labels of which none begins another, found "
                        f"{label!r} and {other!r}; rename one, or give --answer generate."
                    )
        return cls(task, tokens)

    def decode(self, answer: Sequence[int]) -> str:
        """A label's text, as a tokenizer decodes tokens."""
        return self.task.labels[answer[0]]

    def answered(self, prompts: Sequence[EncodedPrompt]) -> list[EncodedPrompt]:
        """The prompts with labels, by index, as what answers are compared with."""
        return [
            replace(one, accepted=self._of(one.prompt.answers), first=one.accepted, echo=-1)
            for one in prompts
        ]

    def of_dummies(self, prompts: Sequence[EncodedPrompt]) -> dict[str, tuple[int, ...]]:
        """The labels of each dummy, by index."""
        dummies = {dummy for one in prompts for dummy in one.prompt.dummies}
        return {dummy: self._of(self.task.answers[dummy]) for dummy in dummies}

    def add(
        self,
        batches: Sequence["Batch"],
        prompts: Sequence[EncodedPrompt],
        way: "Way",
        with_query: bool = True,
    ) -> None:
        """Give batches, made of prompts in order, the key `labels`.

        Keys of it:
            first: the labels' first tokens, (label,).
            accepted: indices of accepted labels, padded with −1, (prompt, answer).
            further: see `icl_vectors.graph.labels.further_of`.
        """
        import torch

        from icl_vectors.prompts.batches import pad_answers

        start = 0
        for batch in batches:
            part = prompts[start : start + batch["prompts"]]
            start += batch["prompts"]
            batch["labels"] = {
                "first": torch.tensor([own[0] for own in self.tokens]),
                "accepted": pad_answers([one.accepted for one in part]),
                "further": [
                    self._further(beginning, part, way, with_query) for beginning in self.beginnings
                ],
            }

    @property
    def beginnings(self) -> list[tuple[int, ...]]:
        """What labels that share their first token begin with, each at least once."""
        firsts = [own[0] for own in self.tokens]
        sharing = [own for own in self.tokens if firsts.count(own[0]) > 1]
        return sorted({own[:length] for own in sharing for length in range(1, len(own))})

    def _further(
        self,
        beginning: tuple[int, ...],
        part: Sequence[EncodedPrompt],
        way: "Way",
        with_query: bool,
    ) -> "Batch":
        import torch

        from icl_vectors.prompts.batches import make_batches

        size = len(beginning)
        longer = [
            replace(
                one,
                suffixes=tuple(suffix + beginning for suffix in one.suffixes),
                alone=one.alone + beginning,
            )
            for one in part
        ]
        (batch,) = make_batches(longer, len(longer), way, with_query, after=size)
        goes_on = [
            own[size] if own[:size] == beginning and len(own) > size else -1 for own in self.tokens
        ]
        return {**batch, "next": torch.tensor(goes_on), "beginning": beginning}

    def _of(self, answers: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted(self.task.labels.index(answer) for answer in answers))


def labels_of(
    answer: str,
    tokenizer: Any,
    template: Template,
    task: Task,
    prompts: Sequence[EncodedPrompt],
) -> "Labels | None":
    """The task's labels where these are compared; None for other answers."""
    return Labels.make(tokenizer, template, task, prompts) if answer == "labels" else None


def first_token_right(tokens: Sequence[int], prompts: Sequence[EncodedPrompt]) -> list[bool]:
    """Whether the likeliest of all tokens begins an accepted answer."""
    return [token in one.first for token, one in zip(tokens, prompts, strict=True)]

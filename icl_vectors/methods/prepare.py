"""Prompts as batches for methods: what each needs beyond the demonstrations, dummies and query."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from icl_vectors.errors import IclVectorsError
from icl_vectors.methods.method import Candidate, Method
from icl_vectors.models.model import Model
from icl_vectors.prompts.batches import Batch, make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt, demonstration_arrows, encode_plain
from icl_vectors.prompts.labels import Labels
from icl_vectors.prompts.limits import encode_prompts
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template

ROWS_A_PROMPT = 18  # rows of one token; where they do not fit, batches are halved
T = TypeVar("T")
HEADS_A_PROMPT = 4  # heads patched at once that the memory computed for a prompt surely holds


@dataclass(frozen=True)
class Contexts:
    """The dev prompts, whose θ pooled methods average, and which of them a prompt may use."""

    prompts: Sequence[EncodedPrompt]

    def mix(self, prompt: Prompt, slots: int, seed: int) -> Tensor:
        """How much of each context goes into each of a prompt's vectors, (slot, context).

        A context that demonstrates the prompt's query, or asks it, is left out (as the authors of
        Hendel et al. 2023 do), unless all do. One slot is the mean of the others; several slots
        are as many of them, drawn.

        Args:
            slots: vectors a prompt; 0 stands for the mean.
        """
        usable = [
            index
            for index, one in enumerate(self.prompts)
            if prompt.query not in _inputs_of(one.prompt)
        ] or list(range(len(self.prompts)))
        weights = torch.zeros(max(1, slots), len(self.prompts))
        if not slots:
            weights[0, usable] = 1 / len(usable)
            return weights
        draw = random.Random(f"{seed}:{prompt.id}:contexts")
        drawn = (
            draw.sample(usable, slots) if len(usable) >= slots else draw.choices(usable, k=slots)
        )
        weights[range(slots), drawn] = 1.0
        return weights


def split_dev(method: Method, dev: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """The dev prompts that a method's vectors come from, and those that it chooses on.

    All of them for both, but nothing for methods that use each prompt's own demonstrations, and
    halves where something is fitted: what was fitted is chosen on other prompts.
    """
    if method.fit is None:
        return (dev if method.pooled else []), dev
    half = len(dev) // 2
    return dev[:half], dev[half:]


def method_batches(
    model: Model,
    template: Template,
    method: Method,
    prompts: Sequence[EncodedPrompt],
    contexts: Contexts | None,
    size: int,
    seed: int,
    labels: Labels | None = None,
) -> list[Batch]:
    """Batches of at most `size` prompts with everything that a method reads and injects.

    Keys beyond those of `make_batches`:
        whole: parts of demonstrations and query, (prompt, token).
        whole_arrows: where they have their arrows, from the end, the query's last, (prompt,
            demonstration + 1).
        demonstration_arrows: the demonstrations' arrows in `shared`, likewise.
        pairs: parts of each demonstration's input and output alone,
            (prompt × demonstration × 2, token).
        query: parts of the query alone, (prompt, token).
        mix: (prompt, slot, context), see `Contexts`; of methods that average over contexts.
        labels: where labels are compared, see `Labels.add`.
    """
    batches = make_batches(prompts, size, model.way, with_query=False)
    if labels is not None:
        labels.add(batches, prompts, model.way, with_query=False)
    for number, batch in enumerate(batches):
        part = prompts[number * size : (number + 1) * size]
        batch.update(_extra(model, template, method, part))
        for further in batch["labels"]["further"] if labels is not None else ():
            further.update(_further(model, part, batch, further["beginning"]))
        if contexts is not None and method.pooled and method.fit is None:
            slots = len(part[0].prompt.demonstrations) + 1 if method.slots else 0
            batch["mix"] = torch.stack([contexts.mix(one.prompt, slots, seed) for one in part])
    return batches


def _extra(
    model: Model,
    template: Template,
    method: Method,
    part: Sequence[EncodedPrompt],
) -> dict[str, Any]:
    tokenizer = model.tokenizer
    whole = [one.shared + one.suffixes[0] for one in part]
    found: dict[str, Any] = {
        "whole": whole_prompts(whole, model.way),
        "query": whole_prompts([one.alone for one in part], model.way),
    }
    if "pairs" in method.inputs:
        texts = [text for one in part for pair in one.prompt.demonstrations for text in pair]
        found["pairs"] = whole_prompts([encode_plain(tokenizer, text) for text in texts], model.way)
    if {"demonstration_arrows", "whole_arrows"} & set(method.inputs):
        arrows = [
            demonstration_arrows(tokenizer, template, one.prompt, ids)
            for one, ids in zip(part, whole, strict=True)
        ]
        found["demonstration_arrows"] = _from_the_end(arrows, [one.shared for one in part])
        with_query = [(*own, len(ids) - 1) for own, ids in zip(arrows, whole, strict=True)]
        found["whole_arrows"] = _from_the_end(with_query, whole)
    return found


def _further(
    model: Model, part: Sequence[EncodedPrompt], batch: Batch, beginning: tuple[int, ...]
) -> Batch:
    """What a method injects into where the beginning of a label follows the arrows."""
    whole = [one.shared + one.suffixes[0] + beginning for one in part]
    found = {
        "whole": whole_prompts(whole, model.way),
        "query": whole_prompts([one.alone + beginning for one in part], model.way),
    }
    if "whole_arrows" in batch:
        found["whole_arrows"] = batch["whole_arrows"] - len(beginning)
    return found


def _from_the_end(places: Sequence[Sequence[int]], rows: Sequence[Sequence[int]]) -> Tensor:
    """Places in rows of unequal length, whatever is padded at the left."""
    for own, row in zip(places, rows, strict=True):
        if own and own[-1] >= len(row):
            raise IclVectorsError(
                "this tokenizer joins the last demonstration with the query; expected them to be "
                "apart; use another template."
            )
    moved = [[place - len(row) for place in own] for own, row in zip(places, rows, strict=True)]
    return torch.tensor(moved, dtype=torch.long)


def prompts_at_once(size: int, groups: Sequence[Sequence[Candidate]]) -> int:
    """How many prompts of a batch run where each is injected with every candidate of a group."""
    return max(1, min(size, size * ROWS_A_PROMPT // max(map(len, groups))))


def corrupted_at_once(size: int, n_heads: int) -> int:
    """How many prompts of a batch run where every head of a block is patched in each."""
    return max(1, min(size, size * HEADS_A_PROMPT // n_heads))


def add_taught(
    batches: Sequence[Batch], model: Model, template: Template, pairs: Sequence[Prompt], size: int
) -> None:
    """Give the first of some batches of contexts the key `taught`: pairs to train on, batches."""
    encoded = encode_prompts(model, template, pairs)
    batches[0]["taught"] = make_batches(encoded, size, model.way, with_query=False)


def taught(
    contexts: Sequence[Prompt], chosen_on: Sequence[Prompt] = (), test: Sequence[Prompt] = ()
) -> list[Prompt]:
    """Every distinct input that some contexts ask or demonstrate, as a query with its answers.

    What is asked on test is left out, also from answer to query; so is what is chosen on, unless
    nothing else is left.

    Raises:
        IclVectorsError: test asks everything.
    """
    found = {one.query: replace(one, demonstrations=()) for one in contexts}
    for one in contexts:
        for input, output in one.demonstrations:
            alone = replace(one, query=input, answers=(output,), demonstrations=())
            found.setdefault(input, alone)
    asked, tested = ({one.query for one in part} for part in (chosen_on, test))
    backwards = {(answer, one.query) for one in test for answer in one.answers}
    kept = [
        one
        for input, one in found.items()
        if input not in tested and not backwards & {(input, output) for output in one.answers}
    ]
    if not kept:
        raise IclVectorsError(
            f"task {contexts[0].task}: expected inputs to train on that are not asked on test, "
            f"found that test asks all {len(found)} inputs of the contexts; lower --test, or leave "
            "the task or --methods learned out."
        )
    return [one for one in kept if one.query not in asked] or kept


def corrupted_prompts(
    model: Model, template: Template, prompts: Sequence[EncodedPrompt]
) -> list[EncodedPrompt]:
    """The prompts with shuffled answers, whole up to their arrow as "queries alone"."""
    encoded = encode_prompts(model, template, [shuffled(one.prompt) for one in prompts])
    return [replace(one, alone=one.shared + one.suffixes[0]) for one in encoded]


def shuffled(prompt: Prompt) -> Prompt:
    """The same prompt, its demonstrations' outputs dealt out anew, none to its own input.

    Outputs move to the next demonstration in an order drawn from the prompt's id, so that only
    equal outputs can meet their own input again.
    """
    order = list(range(len(prompt.demonstrations)))
    random.Random(f"{prompt.id}:shuffled").shuffle(order)
    outputs = {
        place: prompt.demonstrations[next_one][1]
        for place, next_one in zip(order, order[1:] + order[:1], strict=True)
    }
    pairs = [(input, outputs[place]) for place, (input, _) in enumerate(prompt.demonstrations)]
    return replace(prompt, demonstrations=tuple(pairs))


def with_answers_of_others(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The same prompts, each with the accepted answers of the next one in a drawn order."""
    order = list(range(len(prompts)))
    random.Random("".join(one.id for one in prompts)).shuffle(order)
    others = {place: prompts[by] for place, by in zip(order, order[1:] + order[:1], strict=True)}
    return [replace(one, answers=others[place].answers) for place, one in enumerate(prompts)]


def _inputs_of(prompt: Prompt) -> set[str]:
    return {prompt.query, *(input for input, _ in prompt.demonstrations)}

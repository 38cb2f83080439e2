"""`answer="generate"`: whole answers generated after the test prompts, and how they score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icl_vectors.prompts.answers import (
    answer_bound,
    begins_right,
    cut_answer,
    ending_tokens,
    is_exact,
    tokens_that_end_a_line,
)
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.scoring import accuracy

if TYPE_CHECKING:
    from icl_vectors.engine.context import Context

COMPARISON_OF_GENERATED = (
    "the answer written up to the template's end equals an accepted one (Unicode composed, "
    "apostrophes plain, blanks collapsed, capitals kept); prefix: it begins with one that ends at "
    "a word's end; first_token: as without writing; the layer is chosen on dev by the first token"
)


@dataclass(frozen=True)
class Generated:
    """One answer as text, and the three ways to compare it."""

    prediction: str
    correct: bool
    prefix: bool
    first_token: bool

    @classmethod
    def judged(cls, text: str, first: int, one: EncodedPrompt) -> "Generated":
        """A text with its first token, compared with a prompt's accepted answers."""
        answers = one.prompt.answers
        compared = is_exact(text, answers), begins_right(text, answers)
        return cls(text, *compared, first in one.accepted)


GeneratedByMethod = Mapping[str, Sequence[Generated]]


def generate_answers(
    context: "Context", prompts: Sequence[EncodedPrompt], layer: int
) -> GeneratedByMethod:
    """Answers to each prompt by each method, in order; θ is injected at one layer.

    Raises:
        RunError: logits that are not finite.
    """
    from icl_vectors.graph.answers import run_answers
    from icl_vectors.prompts.batches import make_batches, whole_prompts

    model, template = context.model, context.template
    tokenizer, way = model.tokenizer, model.way
    steps = answer_bound(tokenizer, (text for one in prompts for text in one.prompt.answers))
    of_text = ending_tokens(model.nnsight._module, tokenizer)
    ends = (*of_text, *tokens_that_end_a_line(tokenizer, template))

    def run(size: int) -> dict[str, Any]:
        parts = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        whole = [
            whole_prompts([one.shared + one.suffixes[0] for one in part], way) for part in parts
        ]
        alone = [whole_prompts([one.alone for one in part], way) for part in parts]
        batches = make_batches(prompts, size, way, with_query=False)
        job = context.job(f"answers, batch {size}")
        return run_answers(model, batches, whole, alone, layer, steps, ends, job)

    found = context.run(run, prompts, context.batch_size)
    context.require_finite(found.pop("finite"), "the logits")
    return {
        method: [
            Generated.judged(cut_answer(tokenizer, template, row, of_text), row[0], one)
            for row, one in zip(tokens.tolist(), prompts, strict=True)
        ]
        for method, tokens in found.items()
    }


def with_generated(
    result: Mapping[str, Any], prompts: Sequence[EncodedPrompt], generated: GeneratedByMethod
) -> dict[str, Any]:
    """A unit's result with each method's accuracy by the whole answer, by prefix and first token.

    `rest_wrong` is the share of answers that begin with a right token and are not right.
    """
    methods = {method: _accuracies(answers) for method, answers in generated.items()}
    words = [len(one.prompt.answers[0].split()) for one in prompts]
    return {**result, **methods, "answer": "generate", "n_of_one_word": words.count(1)}


def generated_samples(
    samples: Sequence[Mapping[str, Any]],
    prompts: Sequence[EncodedPrompt],
    generated: GeneratedByMethod,
) -> list[dict[str, Any]]:
    """The samples of test with whole answers in place of first tokens; those of dev as they are."""
    by_id = {
        (one.prompt.id, method): answer
        for method, answers in generated.items()
        for one, answer in zip(prompts, answers, strict=True)
    }
    return [
        {**sample, **vars(by_id[sample["id"], sample["method"]])}
        if sample["split"] == "test"
        else dict(sample)
        for sample in samples
    ]


def _accuracies(answers: Sequence[Generated]) -> dict[str, Any]:
    return {
        **accuracy([one.correct for one in answers]).to_json(),
        "prefix": accuracy([one.prefix for one in answers]).to_json(),
        "first_token": accuracy([one.first_token for one in answers]).to_json(),
        "rest_wrong": accuracy([one.first_token and not one.correct for one in answers]).to_json(),
    }

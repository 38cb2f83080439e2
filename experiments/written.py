"""`answer="generate"`: whole answers written after the test prompts, and what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from icl_vectors.answers import (
    answer_bound,
    begins_right,
    cut_answer,
    ending_tokens,
    is_exact,
    tokens_that_end_a_line,
)
from icl_vectors.batches import make_batches, whole_prompts
from icl_vectors.encoding import EncodedPrompt
from icl_vectors.errors import not_finite
from icl_vectors.experiments.jobs import Jobs
from icl_vectors.experiments.observer import Observer
from icl_vectors.graph_of_answers import run_answers
from icl_vectors.memory import with_smaller_batches
from icl_vectors.model import Model
from icl_vectors.scoring import accuracy
from icl_vectors.templates import Template

COMPARISON_OF_WRITTEN = (
    "the answer written up to the template's end equals an accepted one (Unicode composed, "
    "apostrophes plain, blanks collapsed, capitals kept); prefix: it begins with one that ends at "
    "a word's end; first_token: as without writing; the layer is chosen on dev by the first token"
)


@dataclass(frozen=True)
class Written:
    """One answer as text, and the three ways to compare it."""

    text: str
    exact: bool
    prefix: bool
    first_token: bool


WrittenByMethod = Mapping[str, Sequence[Written]]


def write_answers_of(
    model: Model,
    template: Template,
    prompts: Sequence[EncodedPrompt],
    layer: int,
    batch_size: int,
    observer: Observer,
    jobs: Jobs,
) -> WrittenByMethod:
    """Answers to each prompt by each method, in order; θ is put in at one layer.

    Raises:
        RunError: logits that are not finite.
    """
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
        job = jobs.job(f"answers, batch {size}")
        return run_answers(model, batches, whole, alone, layer, steps, ends, job)

    found, _ = with_smaller_batches(run, batch_size, observer.notice)
    if not bool(found.pop("finite")):
        raise not_finite(f"{prompts[0].prompt.task}: the logits", model.dtype, model.device)
    return {
        method: [
            _judge(cut_answer(tokenizer, template, row, of_text), row[0], one)
            for row, one in zip(tokens.tolist(), prompts, strict=True)
        ]
        for method, tokens in found.items()
    }


def with_written(
    result: Mapping[str, Any], prompts: Sequence[EncodedPrompt], written: WrittenByMethod
) -> dict[str, Any]:
    """A unit's result with each method's accuracy by the whole answer, by prefix and first token.

    `rest_wrong` is the share of answers that begin with a right token and are not right.
    """
    methods = {method: _accuracies(answers) for method, answers in written.items()}
    words = [len(one.prompt.answers[0].split()) for one in prompts]
    return {**result, **methods, "answer": "generate", "n_of_one_word": words.count(1)}


def written_samples(
    samples: Sequence[Mapping[str, Any]],
    prompts: Sequence[EncodedPrompt],
    written: WrittenByMethod,
) -> list[dict[str, Any]]:
    """The samples of test with whole answers in place of first tokens; those of dev as they are."""
    by_id = {
        (one.prompt.id, method): answer
        for method, answers in written.items()
        for one, answer in zip(prompts, answers, strict=True)
    }
    return [
        {**sample, **_shown(by_id[sample["id"], sample["method"]])}
        if sample["split"] == "test"
        else dict(sample)
        for sample in samples
    ]


def _judge(text: str, first: int, one: EncodedPrompt) -> Written:
    accepted = one.prompt.answers
    return Written(
        text=text,
        exact=is_exact(text, accepted),
        prefix=begins_right(text, accepted),
        first_token=first in one.accepted,
    )


def _accuracies(answers: Sequence[Written]) -> dict[str, Any]:
    return {
        **accuracy([one.exact for one in answers]).to_json(),
        "prefix": accuracy([one.prefix for one in answers]).to_json(),
        "first_token": accuracy([one.first_token for one in answers]).to_json(),
        "rest_wrong": accuracy([one.first_token and not one.exact for one in answers]).to_json(),
    }


def _shown(answer: Written) -> dict[str, Any]:
    return {
        "prediction": answer.text,
        "correct": answer.exact,
        "prefix": answer.prefix,
        "first_token": answer.first_token,
    }

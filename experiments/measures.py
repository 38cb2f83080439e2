"""From the tokens that a session answered to accuracies and samples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.labels import first_token_right
from icl_vectors.runs.schema import METHODS as METHODS
from icl_vectors.scoring import accuracy, stable
from icl_vectors.tasks.task import Task

COMPARISON = (
    "the first generated token equals the first token, read in context, of an accepted answer"
)


def unit_result(
    task: Task,
    seed: int,
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
    layers: Sequence[int],
    n_layers: int,
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """The entry of one task and seed in results.json.

    Besides the accuracies: how often an answer with θ equals a dummy's own regular answer
    (`copied`; for comparison the same share of the regular answers), and how often the first
    token of an accepted answer is also that of the query (`n_echo`), where the first token
    alone can't tell an answer from an echo.
    """
    baseline, hypothesis = found["test_answers"].T.tolist()
    regular, *of_dummies = found["test_own"].T.tolist()
    copied = accuracy(_copied(hypothesis, of_dummies))
    copied_regular = accuracy(_copied(regular, of_dummies))
    by_layer: list[float | None] = [None] * n_layers
    copied_by_layer: list[float | None] = [None] * n_layers
    dev_of_dummies = found["dev_own"].T.tolist()
    for column, layer in enumerate(sorted(layers)):
        answers = found["dev_swept"][:, column].tolist()
        by_layer[layer] = accuracy(_right(answers, dev)).accuracy
        copied_by_layer[layer] = accuracy(_copied(answers, dev_of_dummies)).accuracy
    return {
        "task": task.name,
        "category": task.category,
        "seed": seed,
        "n_test": len(test),
        "n_dev": len(dev),
        "n_distinct": len({one.prompt.query for one in test}),
        "n_dev_queries_in_test": _shared_queries(dev, test),
        "n_echo": sum(one.echo in one.accepted for one in test),
        "baseline": accuracy(_right(baseline, test)).to_json(),
        "hypothesis": accuracy(_right(hypothesis, test)).to_json(),
        "regular": accuracy(_right(regular, test)).to_json(),
        "best_layer": int(found["best"]),
        "dev_accuracy_by_layer": by_layer,
        "dev_copied_by_layer": copied_by_layer,
        "copied": {"hypothesis": copied.to_json(), "regular": copied_regular.to_json()},
        "copies_dummies": copied.low > copied_regular.high,
    }


def with_first_tokens(
    result: Mapping[str, Any], test: Sequence[EncodedPrompt], found: Mapping[str, Any]
) -> dict[str, Any]:
    """A unit's result where labels are compared, beside them the likeliest of all tokens."""
    regular, baseline, hypothesis = found["test_first"].T.tolist()
    tokens = {"baseline": baseline, "hypothesis": hypothesis, "regular": regular}
    methods = {
        method: {**result[method], "first_token": accuracy(first_token_right(own, test)).to_json()}
        for method, own in tokens.items()
    }
    return {**result, **methods, "answer": "labels"}


def samples_of(
    tokenizer: Any,
    dev: Sequence[EncodedPrompt],
    test: Sequence[EncodedPrompt],
    layers: Sequence[int],
    found: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """One line an answer: on dev with θ, one for each layer; on test one for each method."""
    for row, one in enumerate(dev):
        for column, layer in enumerate(sorted(layers)):
            token = int(found["dev_swept"][row, column])
            yield _sample(tokenizer, one, "hypothesis", layer, token)
    for row, one in enumerate(test):
        baseline, hypothesis = found["test_answers"][row].tolist()
        regular = int(found["test_own"][row, 0])
        scores = [stable(score) for score in found["test_log_probabilities"][row].tolist()]
        best: int | None = int(found["best"])
        layers_of_methods = (None, best, None)
        tokens = (baseline, hypothesis, regular)
        order = (1, 2, 0)  # the session has regular first
        for answer in zip(METHODS, layers_of_methods, tokens, order, strict=True):
            method, at_layer, token, place = answer
            sample = _sample(tokenizer, one, method, at_layer, token)
            if one.first:
                sample["first_token"] = int(found["test_first"][row, place]) in one.first
            yield {**sample, "answer_log_probability": scores[place]}


def _sample(
    tokenizer: Any, one: EncodedPrompt, method: str, layer: int | None, token: int
) -> dict[str, Any]:
    return {
        "id": one.prompt.id,
        "task": one.prompt.task,
        "seed": one.prompt.seed,
        "split": one.prompt.split,
        "method": method,
        "layer": layer,
        "prediction": tokenizer.decode([token]),
        "correct": token in one.accepted,
    }


def _right(tokens: Sequence[int], prompts: Sequence[EncodedPrompt]) -> list[bool]:
    return [token in one.accepted for token, one in zip(tokens, prompts, strict=True)]


def _copied(tokens: Sequence[int], of_dummies: Sequence[Sequence[int]]) -> list[bool]:
    return [token in own for token, *own in zip(tokens, *of_dummies, strict=True)]


def _shared_queries(dev: Sequence[EncodedPrompt], test: Sequence[EncodedPrompt]) -> int:
    tested = {one.prompt.query for one in test}
    return sum(one.prompt.query in tested for one in dev)

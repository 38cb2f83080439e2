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
    answers = answers_by_method(found)
    of_dummies = found["test_own"].T.tolist()[1:]
    copied = {method: accuracy(_copied(answers[method], of_dummies)) for method in METHODS[1:]}
    dev_of_dummies = found["dev_own"].T.tolist()
    swept = found["dev_swept"].T.tolist()  # (layer, prompt)
    dev_right = [accuracy(are_right(column, dev)).accuracy for column in swept]
    dev_copied = [accuracy(_copied(column, dev_of_dummies)).accuracy for column in swept]
    tested = {one.prompt.query for one in test}
    return {
        "task": task.name,
        "category": task.category,
        "seed": seed,
        "n_test": len(test),
        "n_dev": len(dev),
        "n_distinct": len(tested),
        "n_dev_queries_in_test": sum(one.prompt.query in tested for one in dev),
        "n_echo": sum(one.echo in one.accepted for one in test),
        **{method: accuracy(are_right(answers[method], test)).to_json() for method in METHODS},
        "best_layer": int(found["best"]),
        "dev_accuracy_by_layer": by_layer(layers, n_layers, dev_right),
        "dev_copied_by_layer": by_layer(layers, n_layers, dev_copied),
        "copied": {method: share.to_json() for method, share in copied.items()},
        "copies_dummies": copied["hypothesis"].low > copied["regular"].high,
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
            yield sample(tokenizer, one, "hypothesis", layer, token)
    answers = answers_by_method(found)
    for row, one in enumerate(test):
        scores = [stable(score) for score in found["test_log_probabilities"][row].tolist()]
        for method, place in zip(METHODS, (1, 2, 0), strict=True):  # the session has regular first
            at = int(found["best"]) if method == "hypothesis" else None
            shown = sample(tokenizer, one, method, at, answers[method][row])
            if one.first:
                shown["first_token"] = int(found["test_first"][row, place]) in one.first
            yield {**shown, "answer_log_probability": scores[place]}


def sample(
    decoder: Any, one: EncodedPrompt, method: str, layer: int | None, token: int
) -> dict[str, Any]:
    """The line of samples.jsonl of one answer."""
    return {
        "id": one.prompt.id,
        "task": one.prompt.task,
        "seed": one.prompt.seed,
        "split": one.prompt.split,
        "method": method,
        "layer": layer,
        "prediction": decoder.decode([token]),
        "correct": token in one.accepted,
    }


def answers_by_method(found: Mapping[str, Any]) -> dict[str, list[int]]:
    """The tokens that a sweep's session answered on test."""
    baseline, hypothesis = found["test_answers"].T.tolist()
    regular = found["test_own"][:, 0].tolist()
    return {"baseline": baseline, "hypothesis": hypothesis, "regular": regular}


def are_right(tokens: Sequence[int], prompts: Sequence[EncodedPrompt]) -> list[bool]:
    """Whether each answer is one that its prompt accepts."""
    return [token in one.accepted for token, one in zip(tokens, prompts, strict=True)]


def by_layer(layers: Sequence[int], n_layers: int, values: Sequence[Any]) -> list[Any]:
    """A value for each block, None for those that were not swept."""
    known = dict(zip(sorted(layers), values, strict=True))
    return [known.get(layer) for layer in range(n_layers)]


def _copied(tokens: Sequence[int], of_dummies: Sequence[Sequence[int]]) -> list[bool]:
    return [token in own for token, *own in zip(tokens, *of_dummies, strict=True)]

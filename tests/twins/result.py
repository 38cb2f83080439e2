"""What a procedure gives back, and how it chooses its layer; the same for all procedures."""

import hashlib
import json
from typing import TypedDict

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tests.twins.prompts import Prompt, accepted_tokens, accuracy


class Result(TypedDict):
    """Predicted tokens of the three methods on test, of the sweep on dev, and the mean theta."""

    baseline: list[int]
    hypothesis: list[int]
    regular: list[int]
    dev_hypothesis: list[list[int]]  # (layer, prompt)
    dev_accuracy: list[float]  # (layer)
    accuracy: dict[str, float]
    best_layer: int
    theta: Tensor  # (layer, hidden), float32, the mean over the test prompts


def accuracies_on_dev(
    tokenizer: PreTrainedTokenizerBase, dev: list[Prompt], dev_hypothesis: list[list[int]]
) -> list[float]:
    """The accuracy on dev of every layer."""
    accepted = [accepted_tokens(tokenizer, prompt) for prompt in dev]
    return [accuracy(predictions, accepted) for predictions in dev_hypothesis]


def best_of(accuracies: list[float]) -> int:
    """The layer of the highest accuracy; of several, the lowest."""
    return accuracies.index(max(accuracies))


def accuracies_on_test(
    tokenizer: PreTrainedTokenizerBase, test: list[Prompt], methods: dict[str, list[int]]
) -> dict[str, float]:
    """The accuracy on test of every method."""
    accepted = [accepted_tokens(tokenizer, prompt) for prompt in test]
    return {name: accuracy(predictions, accepted) for name, predictions in methods.items()}


def fingerprint(result: Result) -> str:
    """A short hash of every prediction, equal where two procedures answered alike."""
    names = ("baseline", "hypothesis", "regular", "dev_hypothesis", "best_layer")
    text = json.dumps([result[name] for name in names])  # type: ignore[literal-required]
    return hashlib.sha256(text.encode()).hexdigest()[:12]

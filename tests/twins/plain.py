"""The oracle: one prompt at a time, whole, no padding, no cache. Plain transformers and hooks."""

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.twins.blocks import count_layers, recorded, replaced
from tests.twins.prompts import Prompt, dummy_ids, query_ids, regular_ids
from tests.twins.result import Result, accuracies_on_dev, accuracies_on_test, best_of


def states(model: PreTrainedModel, ids: list[int]) -> Tensor:
    """The output of every block at the last token."""
    with recorded(model, lambda state: state[0, -1].flatten().float().clone()) as layers:
        logits(model, ids)
    return torch.stack(layers)  # (layer, hidden)


def theta(model: PreTrainedModel, prompt_ids_of_dummies: list[list[int]]) -> Tensor:
    """The mean over the dummies of the state at the arrow, at every block, in float32."""
    return torch.stack([states(model, ids) for ids in prompt_ids_of_dummies]).mean(0)


@torch.no_grad()
def logits(model: PreTrainedModel, ids: list[int]) -> Tensor:
    """The logits of the token after the last one."""
    return forward(model, ids)


def forward(model: PreTrainedModel, ids: list[int]) -> Tensor:
    """The same, through which gradients flow back."""
    batch = torch.tensor([ids], device=model.device)  # (1, token)
    output: Tensor = model(input_ids=batch, use_cache=False).logits  # (1, token, vocab)
    return output[0, -1]  # (vocab)


def next_token(model: PreTrainedModel, ids: list[int]) -> int:
    """The most likely next token."""
    return int(logits(model, ids).argmax())


def injected_logits(model: PreTrainedModel, ids: list[int], layer: int, vector: Tensor) -> Tensor:
    """The logits of the next token, block `layer`'s last output replaced by `vector`, (hidden)."""
    with replaced(model, layer, vector):
        return logits(model, ids)  # (vocab)


def injected(model: PreTrainedModel, ids: list[int], layer: int, vector: Tensor) -> int:
    """The most likely next token, block `layer`'s last output replaced by `vector`, (hidden)."""
    return int(injected_logits(model, ids, layer, vector).argmax())


def sweep(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, dev: list[Prompt]
) -> list[list[int]]:
    """The predictions with theta injected, (layer, prompt)."""
    queries = [query_ids(tokenizer, prompt) for prompt in dev]
    thetas = [theta(model, dummy_ids(tokenizer, prompt)) for prompt in dev]
    return [
        [injected(model, ids, layer, own[layer]) for ids, own in zip(queries, thetas, strict=True)]
        for layer in range(count_layers(model))
    ]


def run(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dev: list[Prompt],
    test: list[Prompt],
) -> Result:
    """The whole protocol: the layer chosen on dev, the three methods on test."""
    dev_hypothesis = sweep(model, tokenizer, dev)
    dev_accuracy = accuracies_on_dev(tokenizer, dev, dev_hypothesis)
    best = best_of(dev_accuracy)
    thetas = [theta(model, dummy_ids(tokenizer, prompt)) for prompt in test]
    queries = [query_ids(tokenizer, prompt) for prompt in test]
    baseline = [next_token(model, ids) for ids in queries]
    pairs = zip(queries, thetas, strict=True)
    hypothesis = [injected(model, ids, best, own[best]) for ids, own in pairs]
    regular = [next_token(model, regular_ids(tokenizer, prompt)) for prompt in test]
    methods = {"baseline": baseline, "hypothesis": hypothesis, "regular": regular}
    return Result(
        baseline=baseline,
        hypothesis=hypothesis,
        regular=regular,
        dev_hypothesis=dev_hypothesis,
        dev_accuracy=dev_accuracy,
        accuracy=accuracies_on_test(tokenizer, test, methods),
        best_layer=best,
        theta=torch.stack(thetas).mean(0),
    )

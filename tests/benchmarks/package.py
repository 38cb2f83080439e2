"""Benchmark (c): this package, on the same prompts as the other procedures."""

from typing import Any

from icl_vectors.graph.task import run_task
from icl_vectors.models.load import load_model
from icl_vectors.models.memory import choose_batch_size
from icl_vectors.prompts.batches import make_batches
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.sampling import Prompt
from icl_vectors.prompts.template import Template
from tests.benchmarks.measure import Loaded
from tests.twins import prompts as twin
from tests.twins.result import Result, accuracies_on_dev, accuracies_on_test


def load(folder: str, dtype: str) -> Loaded:
    """The model, opened as a user opens it."""
    model = load_model(folder, dtype=dtype)
    return Loaded(model, model.tokenizer, model.nnsight._module)


def run(model: Any, tokenizer: Any, dev: list[twin.Prompt], test: list[twin.Prompt]) -> Result:
    """One task as `sweep` runs it."""
    limit = positions_limit(model)
    encoded = [
        [encode_prompt(tokenizer, Template(), as_prompt(prompt), limit) for prompt in prompts]
        for prompts in (dev, test)
    ]
    size = choose_batch_size(model, encoded[0] + encoded[1])
    way = model.way
    on_dev = make_batches(encoded[0], size, way, with_query=False)
    on_test = make_batches(encoded[1], size, way)
    found = run_task(model, on_dev, on_test, range(model.n_layers))
    baseline, hypothesis = found["test_answers"].T.tolist()
    regular = found["test_own"][:, 0].tolist()
    swept = found["dev_swept"].T.tolist()
    methods = {"baseline": baseline, "hypothesis": hypothesis, "regular": regular}
    return Result(
        baseline=baseline,
        hypothesis=hypothesis,
        regular=regular,
        dev_hypothesis=swept,
        dev_accuracy=accuracies_on_dev(tokenizer, dev, swept),
        accuracy=accuracies_on_test(tokenizer, test, methods),
        best_layer=found["best"],
        theta=found["theta"],
    )


def as_prompt(prompt: twin.Prompt) -> Prompt:
    """A prompt of the benchmarks as one of the package."""
    return Prompt(
        id="benchmark",
        task="benchmark",
        seed=0,
        split="test",
        query=prompt["query"],
        answers=tuple(prompt["answers"]),
        demonstrations=tuple((input, output) for input, output in prompt["demonstrations"]),
        dummies=tuple(prompt["dummies"]),
    )

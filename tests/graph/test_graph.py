from typing import Any, NamedTuple

import pytest
import torch
from torch.testing import assert_close

from icl_vectors.graph.experiments import run_many_thetas
from icl_vectors.graph.task import run_task
from icl_vectors.models.load import Model
from icl_vectors.prompts.batches import make_batches
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.template import Template
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import random_prompts
from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS, Tiny
from tests.twins import plain
from tests.twins.prompts import Prompt, dummy_ids, query_ids, regular_ids
from tests.twins.result import Result

BEST = 2


class Case(NamedTuple):
    tiny: Tiny
    dev: list[Prompt]
    test: list[Prompt]
    expected: Result


@pytest.fixture(scope="module")
def case(tiny: Tiny) -> Case:
    dev = random_prompts(7, n_tokens=N_TOKENS, seed=2)
    test = random_prompts(6, n_tokens=N_TOKENS, seed=3)
    # The answers are what one block gives on dev, so that the layer is really chosen.
    found = plain.sweep(tiny.plain, tiny.tokenizer, dev)[BEST]
    dev = [
        Prompt({**prompt, "answers": [str(tiny.tokenizer.decode([token]))]})
        for prompt, token in zip(dev, found, strict=True)
    ]
    return Case(tiny, dev, test, plain.run(tiny.plain, tiny.tokenizer, dev, test))


def encode(model: Model, prompts: list[Prompt]) -> list[EncodedPrompt]:
    limit = positions_limit(model)
    return [encode_prompt(model.tokenizer, Template(), as_prompt(one), limit) for one in prompts]


def run(
    case: Case, batch_size: int, layers: list[int] | None = None, asked_on_dev: bool = False
) -> dict[str, Any]:
    model = case.tiny.model
    positions = model.way
    dev = make_batches(encode(model, case.dev), batch_size, positions, with_query=asked_on_dev)
    test = make_batches(encode(model, case.test), batch_size, positions)
    return run_task(model, dev, test, layers or range(model.n_layers))


def test_the_prompts_differ_in_length_so_that_batches_are_padded(case: Case) -> None:
    encoded = encode(case.tiny.model, case.dev)
    assert len({len(one.shared) for one in encoded}) > 1
    assert len({len(suffix) for one in encoded for suffix in one.suffixes}) > 1
    assert len({len(one.alone) for one in encoded}) > 1


def test_the_workload_tells_layers_and_methods_apart(case: Case) -> None:
    assert case.expected["best_layer"] == BEST
    assert case.expected["dev_accuracy"][BEST] == 1.0
    assert len({tuple(row) for row in case.expected["dev_hypothesis"]}) == N_LAYERS
    assert case.expected["hypothesis"] != case.expected["baseline"]
    assert case.expected["hypothesis"] != case.expected["regular"]


@pytest.mark.parametrize("batch_size", [1, 3, 25])
def test_the_session_gives_what_plain_pytorch_gives(case: Case, batch_size: int) -> None:
    found = run(case, batch_size)
    assert found["dev_swept"].T.tolist() == case.expected["dev_hypothesis"]
    assert found["best"] == case.expected["best_layer"]
    baseline, hypothesis = found["test_answers"].T.tolist()
    assert baseline == case.expected["baseline"]
    assert hypothesis == case.expected["hypothesis"]
    assert found["test_own"][:, 0].tolist() == case.expected["regular"]
    assert found["theta"].shape == (N_LAYERS, HIDDEN)
    assert_close(found["theta"], case.expected["theta"], rtol=1e-5, atol=1e-5)


def test_the_dummies_own_answers_are_those_of_plain_pytorch(case: Case) -> None:
    model, tokenizer = case.tiny.plain, case.tiny.tokenizer
    found = run(case, 4)
    for row, prompt in zip(found["dev_own"].tolist(), case.dev, strict=True):
        assert row == [plain.next_token(model, ids) for ids in dummy_ids(tokenizer, prompt)]
    for row, prompt in zip(found["test_own"].tolist(), case.test, strict=True):
        texts = [regular_ids(tokenizer, prompt), *dummy_ids(tokenizer, prompt)]
        assert row == [plain.next_token(model, ids) for ids in texts]


def test_the_regular_answer_on_dev_changes_nothing_else(case: Case) -> None:
    without, asked = run(case, 4), run(case, 4, asked_on_dev=True)
    assert without["dev_swept"].tolist() == asked["dev_swept"].tolist()
    assert without["dev_own"].tolist() == asked["dev_own"][:, 1:].tolist()
    regular = [regular_ids(case.tiny.tokenizer, prompt) for prompt in case.dev]
    expected = [plain.next_token(case.tiny.plain, ids) for ids in regular]
    assert asked["dev_own"][:, 0].tolist() == expected


def test_log_probabilities_of_the_accepted_answer_are_those_of_plain_pytorch(case: Case) -> None:
    model, tokenizer = case.tiny.plain, case.tiny.tokenizer
    found, encoded = run(case, 4), encode(case.tiny.model, case.test)
    for index, (prompt, one) in enumerate(zip(case.test, encoded, strict=True)):
        theta = plain.theta(model, dummy_ids(tokenizer, prompt))
        query = query_ids(tokenizer, prompt)
        logits = [
            plain.logits(model, regular_ids(tokenizer, prompt)),
            plain.logits(model, query),
            plain.injected_logits(model, query, BEST, theta[BEST]),
        ]
        expected = [row.log_softmax(-1)[list(one.accepted)].max() for row in logits]
        assert_close(
            found["test_log_probabilities"][index], torch.stack(expected), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("layers", [[0], [3], [1, 3], [3, 0, 2]])
def test_some_layers_give_the_columns_of_all(case: Case, layers: list[int]) -> None:
    found = run(case, 4, layers)
    expected = [case.expected["dev_hypothesis"][layer] for layer in sorted(layers)]
    assert found["dev_swept"].T.tolist() == expected
    accuracies = {layer: case.expected["dev_accuracy"][layer] for layer in sorted(layers)}
    assert found["best"] == max(accuracies, key=lambda layer: accuracies[layer])


def test_a_tie_goes_to_the_lowest_layer(case: Case) -> None:
    never = [Prompt({**prompt, "answers": ["w0"]}) for prompt in case.dev]
    answered = {token for row in case.expected["dev_hypothesis"] for token in row}
    assert case.tiny.tokenizer.convert_tokens_to_ids("w0") not in answered
    assert run(case._replace(dev=never), 4)["best"] == 0
    assert run(case._replace(dev=never), 4, [1, 3])["best"] == 1


def test_progress_is_told_after_each_batch(case: Case) -> None:
    model, told = case.tiny.model, []
    way = model.way
    dev = make_batches(encode(model, case.dev), 3, way)
    test = make_batches(encode(model, case.test), 4, way)
    run_task(model, dev, test, [1], lambda phase, prompts: told.append((phase, prompts)))
    assert told == [("dev", 3), ("dev", 3), ("dev", 1), ("test", 4), ("test", 2)]


def test_extraction_gives_each_prompts_theta(case: Case) -> None:
    model, tokenizer = case.tiny.plain, case.tiny.tokenizer
    encoded = encode(case.tiny.model, case.test)
    way = case.tiny.model.way
    found = run_many_thetas(case.tiny.model, make_batches(encoded, 4, way), None)
    expected = [plain.theta(model, dummy_ids(tokenizer, prompt)) for prompt in case.test]
    assert_close(found, torch.stack(expected), rtol=1e-5, atol=1e-5)


def test_all_states_and_logits_were_finite(case: Case) -> None:
    found = run(case, 4)
    assert found["finite_states"].tolist() == [True] * N_LAYERS
    assert bool(found["finite_logits"])

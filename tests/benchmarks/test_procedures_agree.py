"""The published procedure and the floor give the oracle's answers and theta."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.benchmarks import floor, published
from tests.benchmarks.measure import counted
from tests.benchmarks.random_model import (
    build_tokenizer,
    random_gpt2,
    random_llama,
    random_prompts,
)
from tests.twins import plain
from tests.twins.prompts import ARROW, Prompt, accepted_tokens, query_ids, token_ids
from tests.twins.result import Result

N_TOKENS = 60
N_LAYERS = 5
LISTS = ("baseline", "hypothesis", "regular", "dev_hypothesis", "dev_accuracy", "best_layer")
Run = Callable[..., Result]


class Case(NamedTuple):
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    dev: list[Prompt]
    test: list[Prompt]
    expected: Result


def llama() -> PreTrainedModel:
    return random_llama(
        n_layers=N_LAYERS, hidden=32, heads=4, intermediate=64, n_tokens=N_TOKENS, seed=1
    )


def gpt2() -> PreTrainedModel:
    return random_gpt2(n_layers=N_LAYERS, hidden=32, heads=4, n_tokens=N_TOKENS, seed=1)


def answered(prompts: list[Prompt], tokens: list[int], tokenizer: Any) -> list[Prompt]:
    return [
        Prompt({**prompt, "answers": [tokenizer.decode([token])]})
        for prompt, token in zip(prompts, tokens, strict=True)
    ]


@pytest.fixture(scope="module", params=[llama, gpt2])
def case(request: pytest.FixtureRequest) -> Case:
    model, tokenizer = request.param(), build_tokenizer(N_TOKENS)
    dev = random_prompts(7, n_tokens=N_TOKENS, seed=2)
    test = random_prompts(6, n_tokens=N_TOKENS, seed=3)
    # The answers are what block 2 gives on dev, so that the layer is really chosen.
    dev = answered(dev, plain.sweep(model, tokenizer, dev)[2], tokenizer)
    return Case(model, tokenizer, dev, test, plain.run(model, tokenizer, dev, test))


def test_the_workload_tells_layers_and_methods_apart(case: Case) -> None:
    assert case.expected["best_layer"] == 2
    assert case.expected["dev_accuracy"][2] == 1.0
    rows = {tuple(row) for row in case.expected["dev_hypothesis"]}
    assert len(rows) == N_LAYERS
    assert case.expected["hypothesis"] != case.expected["baseline"]
    assert case.expected["hypothesis"] != case.expected["regular"]


@pytest.mark.parametrize(
    ("run", "options"),
    [
        (published.run, {}),
        (published.run, {"batch_size": 4}),
        (floor.run, {}),
        (floor.run, {"prompts_per_batch": 4}),
        (floor.run, {"group_size": 2}),
        (floor.run, {"group_size": 3, "query_on_dev": False, "prompts_per_batch": 3}),
        (floor.run, {"group_size": 1}),
    ],
)
def test_a_procedure_gives_the_answers_and_theta_of_the_oracle(
    case: Case, run: Run, options: dict[str, Any]
) -> None:
    found = run(case.model, case.tokenizer, case.dev, case.test, **options)
    for name in LISTS:
        assert found[name] == case.expected[name], name  # type: ignore[literal-required]
    assert found["theta"].shape == (N_LAYERS, 32)
    torch.testing.assert_close(found["theta"], case.expected["theta"], rtol=1e-5, atol=1e-5)


def test_the_floor_runs_fewer_layer_tokens_and_grouping_fewer_still(case: Case) -> None:
    counts = []
    runs: list[Run] = [published.run, floor.run, partial(floor.run, group_size=1)]
    for run in runs:
        with counted(case.model) as tokens:
            run(case.model, case.tokenizer, case.dev, case.test)
        counts.append(sum(tokens))
    assert counts[0] > counts[1] > counts[2]
    swept = len(case.dev) * N_LAYERS
    assert counts[1] - counts[2] == swept * N_LAYERS - swept * (N_LAYERS - 1) // 2


def test_skipped_blocks_run_again_afterwards(case: Case) -> None:
    ids = query_ids(case.tokenizer, case.dev[0])
    before = plain.logits(case.model, ids)
    with floor.skipped(case.model, N_LAYERS, in_tuple=False):
        assert not torch.equal(plain.logits(case.model, ids), before)
    assert torch.equal(plain.logits(case.model, ids), before)


def test_a_state_put_back_into_its_own_place_changes_nothing(case: Case) -> None:
    ids = query_ids(case.tokenizer, case.dev[0])
    own = plain.states(case.model, ids)
    for layer in range(N_LAYERS):
        same = plain.injected_logits(case.model, ids, layer, own[layer])
        assert torch.equal(same, plain.logits(case.model, ids))


def test_theta_changes_the_logits_at_every_layer(case: Case) -> None:
    ids = query_ids(case.tokenizer, case.dev[0])
    for layer in range(N_LAYERS):
        vector = case.expected["theta"][layer]
        other = plain.injected_logits(case.model, ids, layer, vector)
        assert not torch.allclose(other, plain.logits(case.model, ids), atol=1e-3)


def test_a_prompt_ends_in_the_arrow_and_an_answer_is_the_token_after_it(case: Case) -> None:
    prompt = case.dev[0]
    ids = query_ids(case.tokenizer, prompt)
    assert ids[-1] == case.tokenizer.convert_tokens_to_ids(ARROW)
    whole = token_ids(case.tokenizer, f"{prompt['query']}{ARROW}{prompt['answers'][0]}")
    assert accepted_tokens(case.tokenizer, prompt) == {whole[len(ids)]}

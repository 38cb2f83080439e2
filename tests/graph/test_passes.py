from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import apply_theta, read_query, read_theta
from icl_vectors.graph.read import probe_blocks
from icl_vectors.graph.task import NO_INJECTION, run_application
from icl_vectors.prompts.batches import make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.template import Template
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import random_prompts
from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS, Tiny
from tests.twins import plain
from tests.twins.prompts import Prompt, dummy_ids, query_ids

EXACT: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
PROMPTS = random_prompts(5, n_tokens=N_TOKENS, seed=4)


def encode(tiny: Tiny, prompts: list[Prompt]) -> list[EncodedPrompt]:
    encoded = [encode_prompt(tiny.tokenizer, Template(), as_prompt(one), 100) for one in prompts]
    assert len({len(one.alone) for one in encoded}) > 1
    return encoded


def injected(tiny: Tiny, theta: Tensor, at_layers: list[int]) -> Tensor:
    """Logits of the cached pass with θ injected, (prompt, candidate, vocab)."""
    model = tiny.model
    batch = make_batches(encode(tiny, PROMPTS), len(PROMPTS), model.way)[0]
    nnsight, at = model.nnsight, {**hook_points(model), "in_tuple": isinstance_tuple(tiny)}
    with nnsight.session():
        with torch.no_grad():
            before = read_query(nnsight, at, batch)
            logits: Any = apply_theta(nnsight, at, batch, before, theta[:, at_layers], at_layers)
            logits = logits.save()
    return torch.as_tensor(logits)


def isinstance_tuple(tiny: Tiny) -> bool:
    kinds = []
    blocks = [tiny.plain.get_submodule(path) for path in tiny.model.architecture.blocks]
    handle = blocks[0].register_forward_hook(
        lambda module, inputs, output: kinds.append(isinstance(output, tuple))
    )
    plain.logits(tiny.plain, [1, 7])
    handle.remove()
    return kinds[0]


def own_states(tiny: Tiny) -> Tensor:
    """The query's own states at its arrow, (prompt, layer, hidden)."""
    rows = [query_ids(tiny.tokenizer, prompt) for prompt in PROMPTS]
    return torch.stack([plain.states(tiny.plain, ids) for ids in rows])


def baseline_logits(tiny: Tiny) -> Tensor:
    rows = [query_ids(tiny.tokenizer, prompt) for prompt in PROMPTS]
    return torch.stack([plain.logits(tiny.plain, ids) for ids in rows])


def test_no_injection_gives_the_logits_of_the_query_alone(tiny: Tiny) -> None:
    logits = injected(tiny, torch.zeros(len(PROMPTS), N_LAYERS, HIDDEN), [NO_INJECTION])
    assert_close(logits[:, 0], baseline_logits(tiny), **EXACT)


def test_a_state_put_into_its_own_place_changes_no_logit_at_any_block(tiny: Tiny) -> None:
    logits = injected(tiny, own_states(tiny), list(range(N_LAYERS)))
    expected = baseline_logits(tiny)[:, None].expand_as(logits)
    assert_close(logits, expected, **EXACT)


def test_theta_changes_the_logits_as_it_does_in_plain_pytorch(tiny: Tiny) -> None:
    texts = [dummy_ids(tiny.tokenizer, prompt) for prompt in PROMPTS]
    theta = torch.stack([plain.theta(tiny.plain, ids) for ids in texts])
    logits = injected(tiny, theta, list(range(N_LAYERS)))
    for row, prompt in enumerate(PROMPTS):
        ids = query_ids(tiny.tokenizer, prompt)
        for layer in range(N_LAYERS):
            expected = plain.injected_logits(tiny.plain, ids, layer, theta[row, layer])
            assert_close(logits[row, layer], expected, rtol=1e-4, atol=1e-5)
            assert not torch.allclose(expected, plain.logits(tiny.plain, ids), atol=1e-3)


def test_a_random_vector_changes_the_logits_at_every_block(tiny: Tiny) -> None:
    vector = torch.randn(1, N_LAYERS, HIDDEN, generator=torch.Generator().manual_seed(5))
    logits = injected(tiny, vector.expand(len(PROMPTS), -1, -1), list(range(N_LAYERS)))
    baseline = baseline_logits(tiny)
    for layer in range(N_LAYERS):
        differences = (logits[:, layer] - baseline).abs().amax(-1)  # (prompt,)
        assert bool((differences > 1e-2).all())


@pytest.mark.parametrize("groups", [[[0, 1, 2, 3]], [[0], [1], [2], [3]], [[0, 2], [1, 3]]])
def test_the_grouping_of_layers_changes_nothing(tiny: Tiny, groups: list[list[int]]) -> None:
    theta = torch.randn(len(PROMPTS), N_LAYERS, HIDDEN, generator=torch.Generator().manual_seed(6))
    together = injected(tiny, theta, [NO_INJECTION, *range(N_LAYERS)])[:, 1:]
    for group in groups:
        assert_close(injected(tiny, theta, group), together[:, group], **EXACT)


def test_blocks_that_give_tuples_are_told_from_those_that_give_tensors(tiny: Tiny) -> None:
    model = tiny.model
    batch = make_batches(encode(tiny, PROMPTS), 5, model.way)[0]
    nnsight, at = model.nnsight, hook_points(model)
    with nnsight.session():
        with torch.no_grad():
            at = probe_blocks(nnsight, at, batch)
            found: Any = {"in_tuple": at["in_tuple"], "theta": read_theta(nnsight, at, batch)[0]}
            found = found.save()
    assert found["in_tuple"] is isinstance_tuple(tiny)
    assert found["theta"].shape == (len(PROMPTS), N_LAYERS, HIDDEN)


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_a_prompt_s_own_state_put_back_changes_nothing(tiny: Tiny, layer: int) -> None:
    ids = query_ids(tiny.tokenizer, PROMPTS[0])
    inputs = whole_prompts([ids], tiny.model.way)
    own = plain.states(tiny.plain, ids)
    without = run_application(tiny.model, inputs, {}, 1)["logits"]
    assert_close(without[0], plain.logits(tiny.plain, ids), **EXACT)
    assert_close(run_application(tiny.model, inputs, {layer: own[layer]}, 1)["logits"], without)
    other = run_application(tiny.model, inputs, {layer: own[layer].flip(0)}, 1)["logits"]
    assert not torch.allclose(other, without, atol=1e-3)

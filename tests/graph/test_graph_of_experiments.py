from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, CohereConfig, Gemma2Config, OPTConfig

from icl_vectors.graph.experiments import run_conflict, run_many_thetas, run_projection
from icl_vectors.graph.hooks import hook_points
from icl_vectors.graph.passes import project, read_arrows
from icl_vectors.graph.task import run_task
from icl_vectors.models.load import load_model
from icl_vectors.prompts.batches import make_batches, whole_prompts
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.template import Template
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import build_tokenizer, random_prompts
from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS, Tiny, load_plain, random_model, save_model
from tests.twins import plain
from tests.twins.prompts import Prompt, dummy_ids, query_ids, regular_ids

EXACT: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-5}
SOFT_CAP, SCALE = 2.0, 0.25
SHARED: dict[str, Any] = {
    "vocab_size": N_TOKENS,
    "hidden_size": HIDDEN,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}
GATED: dict[str, Any] = {
    "intermediate_size": 64,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
}
CONFIGS: dict[str, Any] = {
    "gemma2": lambda: Gemma2Config(
        **SHARED, **GATED, head_dim=8, final_logit_softcapping=SOFT_CAP, sliding_window=6
    ),
    "cohere": lambda: CohereConfig(**SHARED, **GATED, logit_scale=SCALE),
    "opt": lambda: OPTConfig(
        **SHARED, ffn_dim=64, word_embed_proj_dim=16, init_std=0.2, max_position_embeddings=128
    ),
}
NORMS = {
    "llama": "model.norm",
    "gpt2": "transformer.ln_f",
    "gptj": "transformer.ln_f",
    "bloom": "transformer.ln_f",
    "gemma2": "model.norm",
    "cohere": "model.norm",
    "opt": "model.decoder.final_layer_norm",
}


class Case(NamedTuple):
    tiny: Tiny
    of_a: list[Prompt]
    of_b: list[Prompt]  # the same queries, other demonstrations


@pytest.fixture(scope="module", params=NORMS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    family = str(request.param)
    folder = _saved(family, tmp_path_factory.mktemp(family))
    tokenizer = build_tokenizer(N_TOKENS)
    tiny = Tiny(family, folder, load_model(str(folder)), load_plain(folder), tokenizer)
    of_a = random_prompts(5, n_tokens=N_TOKENS, seed=11)
    others = random_prompts(5, n_tokens=N_TOKENS, seed=12)
    of_b = [
        Prompt({**other, "query": prompt["query"]})
        for prompt, other in zip(of_a, others, strict=True)
    ]
    return Case(tiny, of_a, of_b)


def _saved(family: str, folder: Path) -> Path:
    torch.manual_seed(3)
    maker: Any = AutoModelForCausalLM
    model = maker.from_config(CONFIGS[family]()) if family in CONFIGS else random_model(family)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # norms and biases that are not just ones and zeros
            parameter.data += 0.3 * torch.randn_like(parameter)
    return save_model(folder, model.eval(), build_tokenizer(N_TOKENS))


def encode(case: Case, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
    tokenizer = case.tiny.tokenizer
    return [encode_prompt(tokenizer, Template(), as_prompt(one), 100) for one in prompts]


def batches(case: Case, encoded: list[EncodedPrompt], size: int, asked: bool) -> list[Any]:
    positions = case.tiny.model.way
    return make_batches(encoded, size, positions, with_query=asked)


def thetas_of_plain(case: Case, prompts: Sequence[Prompt]) -> Tensor:
    texts = [dummy_ids(case.tiny.tokenizer, prompt) for prompt in prompts]
    return torch.stack([plain.theta(case.tiny.plain, ids) for ids in texts])


def words_of_plain(case: Case, states: Tensor) -> Tensor:
    model: Any = case.tiny.plain
    with torch.no_grad():
        normed = model.get_submodule(NORMS[case.tiny.family])(states)
        if case.tiny.family == "opt":
            normed = model.model.decoder.project_out(normed)
        logits: Tensor = model.lm_head(normed)
    if case.tiny.family == "gemma2":
        return SOFT_CAP * torch.tanh(logits / SOFT_CAP)
    return logits * SCALE if case.tiny.family == "cohere" else logits


@contextmanager
def blocks_run(case: Case) -> Iterator[set[int]]:
    """Which blocks computed anything: their parts were called."""
    ran: set[int] = set()
    module, handles = case.tiny.model.nnsight._module, []
    for layer, path in enumerate(case.tiny.model.architecture.blocks):
        for part in module.get_submodule(path).children():
            handles.append(part.register_forward_hook(lambda *given, at=layer: ran.add(at)))
    yield ran
    for handle in handles:
        handle.remove()


def conflict(case: Case, layer: int, batch_size: int) -> dict[str, Any]:
    of_a, of_b = encode(case, case.of_a), encode(case, case.of_b)
    whole = [replace(one, alone=one.shared + one.suffixes[0]) for one in of_a]
    with_b = batches(case, of_b, batch_size, False)
    return run_conflict(case.tiny.model, with_b, batches(case, whole, batch_size, True), layer)


@pytest.mark.parametrize("batch_size", [2, 5])
def test_theta_at_one_layer_is_that_of_plain_pytorch(case: Case, batch_size: int) -> None:
    given = batches(case, encode(case, case.of_b), batch_size, False)
    expected = thetas_of_plain(case, case.of_b)  # (prompt, layer, hidden)
    whole = run_many_thetas(case.tiny.model, given, None)
    assert_close(whole, expected, **EXACT)
    for layer in range(N_LAYERS):
        found = run_many_thetas(case.tiny.model, given, layer)
        assert found.shape == (len(case.of_b), 1, HIDDEN)
        assert_close(found[:, 0], whole[:, layer], **EXACT)


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_blocks_above_the_layer_are_not_run(case: Case, layer: int) -> None:
    given = batches(case, encode(case, case.of_b), 5, False)
    with blocks_run(case) as ran:
        run_many_thetas(case.tiny.model, given, layer)
    assert ran == set(range(layer + 1))


def test_all_blocks_are_run_where_all_layers_are_wanted(case: Case) -> None:
    with blocks_run(case) as ran:
        run_many_thetas(case.tiny.model, batches(case, encode(case, case.of_b), 5, False), None)
    assert ran == set(range(N_LAYERS))


def test_theta_without_demonstrations_is_that_of_plain_pytorch(case: Case) -> None:
    none = [Prompt({**prompt, "demonstrations": []}) for prompt in case.of_b]
    found = run_many_thetas(case.tiny.model, batches(case, encode(case, none), 5, False), 1)
    expected = [
        torch.stack(
            [plain.states(case.tiny.plain, _alone(case, dummy)) for dummy in one["dummies"]]
        )
        for one in none
    ]
    assert_close(found[:, 0], torch.stack(expected).mean(1)[:, 1], **EXACT)


def _alone(case: Case, query: str) -> list[int]:
    return query_ids(case.tiny.tokenizer, Prompt({**case.of_a[0], "query": query}))


def test_states_at_the_arrow_of_whole_prompts_are_those_of_hooks(case: Case) -> None:
    model, rows = case.tiny.model, [query_ids(case.tiny.tokenizer, one) for one in case.of_a]
    assert len({len(ids) for ids in rows}) > 1, "batches are padded"
    inputs = whole_prompts(rows, model.way)
    nnsight, at = model.nnsight, hook_points(model)
    with nnsight.session():
        with torch.no_grad():
            states = read_arrows(nnsight, at, inputs)
            found: Any = {"states": states}
            found = found.save()
    expected = [plain.states(case.tiny.plain, ids) for ids in rows]
    assert_close(found["states"], torch.stack(expected), **EXACT)


def test_a_projection_is_the_models_own_norm_head_and_what_follows_it(case: Case) -> None:
    model, states = case.tiny.model, thetas_of_plain(case, case.of_b)[:, 2]  # (prompt, hidden)
    nnsight, at = model.nnsight, hook_points(model)
    with nnsight.session():
        with torch.no_grad():
            found: Any = {"logits": project(nnsight, at, states, 0)}
            found = found.save()
    assert_close(found["logits"], words_of_plain(case, states), **EXACT)


def test_the_last_blocks_state_as_words_is_what_the_model_answers(case: Case) -> None:
    ids = query_ids(case.tiny.tokenizer, case.of_a[0])
    last = plain.states(case.tiny.plain, ids)[-1]
    assert_close(words_of_plain(case, last), plain.logits(case.tiny.plain, ids), **EXACT)


def test_words_of_theta_and_of_the_baseline_are_those_of_plain_pytorch(case: Case) -> None:
    layers = [3, 1]
    theta = thetas_of_plain(case, case.of_b).mean(0)[layers]  # (layer, hidden)
    rows = [query_ids(case.tiny.tokenizer, one) for one in case.of_a]
    queries = whole_prompts(rows, case.tiny.model.way)
    found = run_projection(case.tiny.model, theta, queries, layers, 10)
    baseline = torch.stack([plain.states(case.tiny.plain, ids) for ids in rows]).mean(0)[layers]
    said = words_of_plain(case, theta).softmax(-1)
    plainly = words_of_plain(case, baseline).softmax(-1)
    for name, expected in (("theta", said), ("baseline", plainly), ("added", said - plainly)):
        values, tokens = found[name]
        assert_close(values, expected.topk(10, -1).values, rtol=1e-4, atol=1e-6)
        assert_close(expected.gather(-1, tokens), values, rtol=1e-4, atol=1e-6)
    assert bool(found["finite"])


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_a_conflict_gives_the_answers_of_plain_pytorch(case: Case, layer: int) -> None:
    model, theta = case.tiny.plain, thetas_of_plain(case, case.of_b)
    rows = [regular_ids(case.tiny.tokenizer, prompt) for prompt in case.of_a]
    expected = [
        [plain.next_token(model, ids), plain.injected(model, ids, layer, own[layer])]
        for ids, own in zip(rows, theta, strict=True)
    ]
    found = conflict(case, layer, 3)
    assert found["answers"].tolist() == expected
    assert bool(found["finite"])


def test_without_injection_a_conflict_is_the_regular_method(case: Case) -> None:
    given = batches(case, encode(case, case.of_a), 5, True)
    regular = run_task(case.tiny.model, given, given, [1])["test_own"][:, 0]
    assert conflict(case, 1, 5)["answers"][:, 0].tolist() == regular.tolist()


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_batch_size_changes_no_answer_of_a_conflict(case: Case, batch_size: int) -> None:
    one, other = conflict(case, 2, 5)["answers"], conflict(case, 2, batch_size)["answers"]
    assert one.tolist() == other.tolist()


def test_theta_of_b_changes_answers(case: Case) -> None:
    answers = torch.cat([conflict(case, layer, 5)["answers"] for layer in range(N_LAYERS)])
    assert (answers[:, 0] != answers[:, 1]).any()

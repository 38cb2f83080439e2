"""Every method against a plain twin, on five families; gemma3's attention groups its queries."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.compare.prompts import variant
from icl_vectors.experiments.compare.summary import cost_of
from icl_vectors.graph.hooks import hook_points, projection_of
from icl_vectors.methods.cost import BACKWARD, cost_of_ranking, tokens_of
from icl_vectors.methods.icv import STRENGTHS
from icl_vectors.methods.learned import OPTIONS
from icl_vectors.methods.plain import REGULAR, ZERO_SHOT
from icl_vectors.methods.prepare import Contexts, method_batches, shuffled, split_dev
from icl_vectors.methods.registry import METHODS
from icl_vectors.methods.session import Batches, run_method, run_ranking
from icl_vectors.prompts.encoding import encode_prompt
from icl_vectors.prompts.template import Template
from tests.benchmarks.package import as_prompt
from tests.method_batches import batches_of
from tests.method_twins import DEV, LAYERS, SETTINGS, TEST, TWINS, encode, usable
from tests.tiny import N_LAYERS, Tiny
from tests.twins import methods as twin
from tests.twins import plain
from tests.twins.blocks import decoder_blocks
from tests.twins.prompts import dummy_ids, query_ids, regular_ids

CLOSE: dict[str, Any] = {"rtol": 2e-4, "atol": 2e-4}
EVERY_METHOD = pytest.mark.parametrize("name", list(METHODS))


def run(tiny: Tiny, name: str, **more: Any) -> dict[str, Any]:
    """What the package finds, in batches of two, with the test prompts' own vectors."""
    method = METHODS[name]
    dev, test = encode(tiny, DEV), encode(tiny, TEST)
    batches = batches_of(tiny.model, method, dev, test)
    groups = method.candidates(LAYERS, SETTINGS)
    found = run_method(tiny.model, method, SETTINGS, batches, groups, [variant(**more)])
    encoded = split_dev(method, dev)[1], test
    return {**found, "groups": groups, "batches": batches, "encoded": encoded}


@EVERY_METHOD
def test_a_method_equals_its_plain_twin(tiny: Tiny, name: str) -> None:
    found = run(tiny, name)
    candidates = [candidate for group in found["groups"] for candidate in group]
    vectors = []
    with torch.no_grad():
        hits = [0] * len(candidates)
        dev = found["encoded"][0]
        for row, (prompt, one) in enumerate(zip(DEV[-len(dev) :], dev, strict=True)):
            _, put_in = TWINS[name](tiny, prompt)
            answers = [int(put_in(*candidate).argmax()) for candidate in candidates]
            assert found["dev"][row].tolist() == answers
            hits = [hit + (token in one.accepted) for hit, token in zip(hits, answers, strict=True)]
        assert found["chosen"] == hits.index(max(hits))
        for row, (prompt, one) in enumerate(zip(TEST, found["encoded"][1], strict=True)):
            own, put_in = TWINS[name](tiny, prompt)
            vectors.append(own)
            scores = put_in(*candidates[found["chosen"]]).log_softmax(-1)
            regular = plain.logits(tiny.plain, regular_ids(tiny.tokenizer, prompt)).log_softmax(-1)
            token, best, rank, variation, divergence, _ = (c[row] for c in found["measured"][1])
            accepted = max(one.accepted, key=lambda token: float(scores[token]))
            assert token == scores.argmax()
            assert_close(best, scores[accepted], **CLOSE)
            assert rank == 1 + int((scores > scores[accepted]).sum())
            assert_close(variation, (scores.exp() - regular.exp()).abs().sum() / 2, **CLOSE)
            expected = torch.nn.functional.kl_div(scores, regular, log_target=True, reduction="sum")
            assert_close(divergence, expected, **CLOSE)
            assert found["measured"][0][0][row] == regular.argmax()
    assert_close(found["vectors"], torch.stack(vectors).mean(0), **CLOSE)


def test_indirect_effects_equal_patches_one_by_one(tiny: Tiny) -> None:
    method = METHODS["function"]
    dev = encode(tiny, DEV)
    broken = [encode_prompt(tiny.tokenizer, Template(), shuffled(one.prompt), 256) for one in dev]
    whole = [replace(one, alone=one.shared + one.suffixes[0]) for one in broken]
    contexts, corrupted = (
        method_batches(tiny.model, Template(), method, part, Contexts(dev), 3, 41)
        for part in (dev, whole)
    )
    found = run_ranking(tiny.model, contexts, corrupted, method)
    assert found.abs().max() > 1e-4
    with torch.no_grad():
        for row, (prompt, one) in enumerate(zip(DEV, whole, strict=True)):
            rows = [ids for i in usable(prompt) for ids in dummy_ids(tiny.tokenizer, DEV[i])]
            means = torch.stack([twin.heads_at(tiny.plain, ids)[0] for ids in rows]).mean(0)
            ids = list(one.alone)
            before = plain.logits(tiny.plain, ids).softmax(-1)[list(one.accepted)].max()
            for layer in range(N_LAYERS):
                for head in range(4):
                    patched = twin.with_head(tiny.plain, ids, layer, head, means[layer])
                    after = patched.softmax(-1)[list(one.accepted)].max()
                    assert_close(found[row, layer, head], after - before, rtol=1e-3, atol=1e-5)


def test_all_heads_of_a_block_together_are_its_attention(tiny: Tiny) -> None:
    every = [(layer, head) for layer in range(N_LAYERS) for head in range(4)]
    settings = {"ranked": every, "counts": [4, 8, 12, 16]}
    method, dev = METHODS["function"], encode(tiny, DEV)
    batches = method_batches(tiny.model, Template(), method, dev, Contexts(dev), 2, 41)
    groups = method.candidates([0], settings)
    asked = Batches(batches, [], batches)
    found = run_method(tiny.model, method, settings, asked, [groups[0][:1]], [variant()])
    sums = found["vectors"].diff(dim=0, prepend=torch.zeros(1, found["vectors"].shape[1]))
    expected = torch.zeros(len(DEV), N_LAYERS, tiny.plain.config.hidden_size)
    with torch.no_grad():
        for row, prompt in enumerate(DEV):
            ids_of = [ids for i in usable(prompt) for ids in dummy_ids(tiny.tokenizer, DEV[i])]
            for layer, block in enumerate(decoder_blocks(tiny.plain)):
                own: Any = block
                projection = twin.projections(tiny.plain)[layer]
                outputs = torch.stack([twin.heads_at(tiny.plain, ids)[1][layer] for ids in ids_of])
                if tiny.family == "gemma3":
                    outputs = own.post_attention_layernorm(outputs)
                bias = getattr(projection, "bias", None)
                expected[row, layer] = outputs.mean(0) - (0 if bias is None else bias)
    assert_close(sums, expected.mean(0), **CLOSE)


@EVERY_METHOD
def test_a_method_computes_what_it_says(tiny: Tiny, name: str) -> None:
    counted = 0
    seen: list[int] = []

    def count(module: Any, given: Any, output: Any) -> None:
        state = output[0] if isinstance(output, tuple) else output
        seen.append(state.shape[0] * state.shape[1])

    def count_twice(module: Any, given: Any, slope: Any) -> None:
        seen.append(BACKWARD * given[0].shape[0] * given[0].shape[1])

    blocks = decoder_blocks(tiny.model.nnsight._module)
    handles = [block.register_forward_hook(count) for block in blocks]
    parts: list[Any] = [block.mlp for block in blocks]  # of blocks that are passed by, none runs
    handles += [part.register_full_backward_hook(count_twice) for part in parts]
    try:
        found = run(tiny, name)
    finally:
        for handle in handles:
            handle.remove()
    counted = sum(seen)
    method, (contexts, dev, test) = METHODS[name], found["batches"]
    chosen = [c for group in found["groups"] for c in group][found["chosen"]]
    cost = cost_of(method, found["groups"], chosen, contexts, dev, test, N_LAYERS)
    skipped = skipped_tokens(name, found, chosen)
    regular = sum(tokens_of(batch, "whole") for batch in test) * N_LAYERS
    looked = tokens_of(dev[0], "arrow") * N_LAYERS  # one block is run, the rest skipped
    assert counted == sum(cost.values()) + regular + looked + skipped


def skipped_tokens(name: str, found: dict[str, Any], chosen: Any) -> int:
    """Tokens that pass by a block whose output is injected: hooks see them, it does not run."""
    contexts, dev, test = found["batches"]
    if name in ("icv", "state-vector"):
        return 0
    total = 0
    for one in contexts[0].get("taught", []) if contexts else ():
        rates, most = {rate for rate, _ in OPTIONS}, max(steps for _, steps in OPTIONS)
        total += one["prompts"] * len(rates) * most * sum(layer + 1 for layer in LAYERS)
    for batches, groups in ((dev, found["groups"]), (test, [[chosen]])):
        for batch in batches:
            total += N_LAYERS if name == "function" else 0  # the trace that calls the projections
            for group in groups:
                if name == "multi":
                    whole = tokens_of(batch, "whole")
                    total += sum(whole * (layer + 1) for (layer,) in group)
                else:
                    lowest = min(candidate[0] for candidate in group)
                    total += batch["prompts"] * len(group) * (lowest + 1)
    return total


def test_random_vectors_have_the_norms_of_the_method_s(tiny: Tiny) -> None:
    own, noise = run(tiny, "state"), run(tiny, "state", noise=7)
    again, other = run(tiny, "state", noise=7), run(tiny, "state", noise=8)
    assert torch.equal(noise["vectors"], again["vectors"])
    assert not torch.equal(noise["vectors"], other["vectors"])
    assert noise["vectors"].norm() < own["vectors"].norm()  # directions that differ cancel out


def test_given_vectors_take_the_place_of_the_method_s_own(tiny: Tiny) -> None:
    own = run(tiny, "state-mean")
    given = run(tiny, "state-mean", given=own["vectors"])
    assert_close(given["vectors"], own["vectors"])


def test_regular_and_zero_shot_put_nothing_in(tiny: Tiny) -> None:
    test = encode(tiny, TEST)
    for method, ids_of in ((REGULAR, regular_ids), (ZERO_SHOT, query_ids)):
        batches = method_batches(tiny.model, Template(), method, test, None, 2, 41)
        asked, groups = Batches([], [], batches), method.candidates([], {})
        found = run_method(tiny.model, method, {}, asked, groups, [variant()])
        expected = [plain.next_token(tiny.plain, ids_of(tiny.tokenizer, one)) for one in TEST]
        assert found["measured"][1][0].tolist() == expected
    assert_close(found["measured"][0][3], torch.zeros(len(TEST)))


def test_shuffled_answers_keep_inputs_and_outputs_and_never_meet_again() -> None:
    prompt = as_prompt(DEV[0])
    wrong = shuffled(prompt)
    inputs, outputs = zip(*prompt.demonstrations, strict=True)
    assert tuple(pair[0] for pair in wrong.demonstrations) == inputs
    assert sorted(pair[1] for pair in wrong.demonstrations) == sorted(outputs)
    assert not set(wrong.demonstrations) & set(prompt.demonstrations)
    assert shuffled(prompt) == wrong


def test_a_block_without_one_output_projection_is_refused(tiny: Tiny) -> None:
    assert len(hook_points(tiny.model, True)["projections"]) == N_LAYERS
    assert hook_points(tiny.model, False)["projections"] == []
    with pytest.raises(IclVectorsError, match="one output projection"):
        projection_of(torch.nn.Linear(2, 2))


def test_strengths_grow() -> None:
    assert list(STRENGTHS) == sorted(STRENGTHS)
    assert (
        cost_of_ranking(
            {"before": None, "arrow": {"input_ids": torch.zeros(2, 1)}, "prompts": 2}, 4, 3
        )
        == 6 + 8 * 6
    )

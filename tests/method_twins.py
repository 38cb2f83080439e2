"""For each method its vectors for one prompt, and its logits with them injected, by plain hooks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from icl_vectors.methods.learned import OPTIONS
from icl_vectors.methods.linear import RIDGES
from icl_vectors.methods.prepare import Contexts
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.template import Template
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import random_prompts
from tests.tiny import N_LAYERS, N_TOKENS, Tiny
from tests.twins import methods as twin
from tests.twins import plain
from tests.twins.prompts import ARROW, Prompt, accepted_tokens, dummy_ids, query_ids, regular_ids

DEV = random_prompts(4, n_tokens=N_TOKENS, seed=5)
TEST = random_prompts(3, n_tokens=N_TOKENS, seed=6)
SETTINGS: dict[str, Any] = {"ranked": [(2, 1), (0, 3), (2, 0), (3, 2), (1, 1)], "counts": [1, 2, 4]}
HALF = len(DEV) // 2  # of dev is fitted on, by methods that fit something
LAYERS = [0, 2, 3]
Found: TypeAlias = tuple[
    Tensor, Callable[..., Tensor]
]  # vectors; logits for a candidate and what is after


def encode(tiny: Tiny, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
    ids = [f"prompt-{number}" for number in range(len(prompts))]
    return [
        encode_prompt(tiny.tokenizer, Template(), replace(as_prompt(one), id=id), 256)
        for one, id in zip(prompts, ids, strict=True)
    ]


def mean_theta(tiny: Tiny, prompts: Sequence[Prompt]) -> Tensor:
    own = [plain.theta(tiny.plain, dummy_ids(tiny.tokenizer, one)) for one in prompts]
    return torch.stack(own)  # (context, layer, hidden)


def usable(prompt: Prompt) -> list[int]:
    """The dev prompts that neither ask nor demonstrate the prompt's query."""
    return [
        index
        for index, one in enumerate(DEV)
        if prompt["query"] not in [one["query"], *(pair[0] for pair in one["demonstrations"])]
    ]


def state(tiny: Tiny, prompt: Prompt) -> Found:
    theta = plain.theta(tiny.plain, dummy_ids(tiny.tokenizer, prompt))
    ids = query_ids(tiny.tokenizer, prompt)
    return theta, lambda layer, after=(): twin.with_states_at(
        tiny.plain, [*ids, *after], layer, [len(ids) - 1], theta[layer][None]
    )


def state_mean(tiny: Tiny, prompt: Prompt) -> Found:
    theta = mean_theta(tiny, DEV)[usable(prompt)].mean(0)
    ids = query_ids(tiny.tokenizer, prompt)
    return theta, lambda layer, after=(): twin.with_states_at(
        tiny.plain, [*ids, *after], layer, [len(ids) - 1], theta[layer][None]
    )


def state_mean_add(tiny: Tiny, prompt: Prompt) -> Found:
    theta = mean_theta(tiny, DEV)[usable(prompt)].mean(0)
    ids = query_ids(tiny.tokenizer, prompt)
    return theta, lambda layer, after=(): twin.with_added(
        tiny.plain, [*ids, *after], layer, theta[layer], len(ids) - 1
    )


def function(tiny: Tiny, prompt: Prompt) -> Found:
    sums: dict[int, Tensor] = {}
    total = torch.zeros(tiny.plain.config.hidden_size)
    rows = [ids for index in usable(prompt) for ids in dummy_ids(tiny.tokenizer, DEV[index])]
    seen = [twin.heads_at(tiny.plain, ids) for ids in rows]
    for number, (layer, head) in enumerate(SETTINGS["ranked"], start=1):
        added = [
            twin.head_in_stream(tiny.plain, layer, head, heads[layer], attention[layer])
            for heads, attention in seen
        ]
        total = total + torch.stack(added).mean(0)
        sums[number] = total
    ids = query_ids(tiny.tokenizer, prompt)
    vectors = torch.stack([sums[count] for count in SETTINGS["counts"]])
    return vectors, lambda layer, count, after=(): twin.with_added(
        tiny.plain, [*ids, *after], layer, sums[count], len(ids) - 1
    )


def icv(tiny: Tiny, prompt: Prompt) -> Found:
    pairs = [
        [twin.last_states(tiny.plain, tiny.tokenizer(text)["input_ids"]) for text in pair]
        for pair in prompt["demonstrations"]
    ]
    outputs = torch.stack([output for _, output in pairs])
    direction = twin.principal_direction(outputs - torch.stack([input for input, _ in pairs]))
    vectors = (direction * outputs.norm(dim=-1).mean()).view(N_LAYERS, -1)
    ids = query_ids(tiny.tokenizer, prompt)
    return vectors, lambda strength, after=(): twin.with_vector_everywhere(
        tiny.plain, [*ids, *after], vectors * strength
    )


def state_vector(tiny: Tiny, prompt: Prompt) -> Found:
    whole = regular_ids(tiny.tokenizer, prompt)
    places = arrows(tiny, whole)
    of_dummies = [
        twin.attention_at(tiny.plain, ids, -1) for ids in dummy_ids(tiny.tokenizer, prompt)
    ]
    plain_form = torch.stack(of_dummies).mean(0)
    seen = [twin.attention_at(tiny.plain, whole, place) for place in places[1:-1]]
    inner = torch.stack([*seen, plain_form]).mean(0)
    steps = [later - earlier for earlier, later in zip(seen, seen[1:], strict=False)]
    weights = [2.0**index for index in range(len(steps))]
    moved = sum(w * step for w, step in zip(weights, steps, strict=True)) / sum(weights)
    forms = torch.stack([plain_form, inner, inner + moved])
    ids = query_ids(tiny.tokenizer, prompt)
    return forms, lambda last, form, after=(): twin.with_attention(
        tiny.plain, [*ids, *after], last, forms[form], len(ids) - 1
    )


def multi(tiny: Tiny, prompt: Prompt) -> Found:
    contexts = mean_theta(tiny, DEV)
    number = next(i for part in (DEV, TEST) for i, one in enumerate(part) if one is prompt)
    named = replace(as_prompt(prompt), id=f"prompt-{number}")
    dev = Contexts(encode(tiny, DEV))
    drawn = dev.mix(named, len(prompt["demonstrations"]) + 1, 41).argmax(-1).tolist()
    assert set(drawn) <= set(usable(prompt))
    vectors = contexts[drawn]  # (arrow, layer, hidden)
    ids = regular_ids(tiny.tokenizer, prompt)
    places = arrows(tiny, ids)
    return vectors, lambda layer, after=(): twin.with_states_at(
        tiny.plain, [*ids, *after], layer, places, vectors[:, layer]
    )


@cache
def trained_vectors(tiny: Tiny) -> Tensor:
    """θ of every option at every block of `LAYERS`, elsewhere the mean θ, the same for all."""
    first = mean_theta(tiny, DEV[:HALF]).mean(0)
    later = {one["query"] for one in [*DEV[HALF:], *TEST]}
    pairs = {one["query"]: one["answers"] for one in DEV[:HALF]}
    for one in DEV[:HALF]:
        pairs |= {x: [y] for x, y in one["demonstrations"] if x not in pairs}
    rows = [
        (query_ids(tiny.tokenizer, asked), sorted(accepted_tokens(tiny.tokenizer, asked)))
        for x, answers in pairs.items()
        if x not in later
        for asked in [Prompt(demonstrations=[], query=x, answers=answers, dummies=[])]
    ]
    vectors = first.repeat(len(OPTIONS), 1, 1)
    for layer in LAYERS:
        for rate in {rate for rate, _ in OPTIONS}:
            most = max(steps for _, steps in OPTIONS)
            found = twin.trained(tiny.plain, rows, layer, first[layer], rate, most)
            for number, option in enumerate(OPTIONS):
                if option[0] == rate:
                    vectors[number, layer] = found[option[1]]
    return vectors


def learned(tiny: Tiny, prompt: Prompt) -> Found:
    vectors, ids = trained_vectors(tiny), query_ids(tiny.tokenizer, prompt)
    return vectors, lambda layer, *option, after=(): twin.with_states_at(
        tiny.plain,
        [*ids, *after],
        layer,
        [len(ids) - 1],
        vectors[OPTIONS.index(option), layer][None],
    )


def linear(tiny: Tiny, prompt: Prompt) -> Found:
    alone, shown = (
        torch.stack([plain.states(tiny.plain, of(tiny.tokenizer, one)) for one in DEV[:HALF]])
        for of in (query_ids, regular_ids)
    )
    ids = query_ids(tiny.tokenizer, prompt)
    own = plain.states(tiny.plain, ids)
    vectors = torch.stack(
        [
            torch.stack(
                [
                    twin.ridge(alone[:, layer], (shown - alone)[:, layer], strength, own[layer])
                    for layer in range(N_LAYERS)
                ]
            )
            for strength in RIDGES
        ]
    )
    return vectors, lambda layer, strength, after=(): twin.with_added(
        tiny.plain, [*ids, *after], layer, vectors[RIDGES.index(strength), layer], len(ids) - 1
    )


def arrows(tiny: Tiny, ids: Sequence[int]) -> list[int]:
    """The arrows of a prompt, by their token (the words of this tokenizer are whole)."""
    arrow = tiny.tokenizer.convert_tokens_to_ids(ARROW)
    return [place for place, token in enumerate(ids) if token == arrow]


TWINS: dict[str, Callable[[Tiny, Prompt], Found]] = {
    "state": state,
    "state-mean": state_mean,
    "state-mean-add": state_mean_add,
    "function": function,
    "icv": icv,
    "state-vector": state_vector,
    "multi": multi,
    "learned": learned,
    "linear": linear,
}

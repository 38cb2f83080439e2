from typing import Any

import pytest
from transformers import LlamaConfig

from icl_vectors.cost.memory import Cost, Place, best_choice, parse_memory, places_here
from icl_vectors.cost.prompt_sizes import estimated_tokens
from icl_vectors.errors import IclVectorsError
from icl_vectors.models.architecture import find_architecture
from icl_vectors.models.meta import meta_model
from icl_vectors.prompts.encoding import EncodedPrompt
from icl_vectors.prompts.sampling import Prompt

SEVENTY: dict[str, Any] = {  # Llama 2 70B
    "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
    "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 32000,
}  # fmt: skip
NOBODY = Prompt("x", "capitals", 41, "test", "", ("",), (), ())
PROMPT = EncodedPrompt(NOBODY, (0,) * 40, ((0,) * 5, (0,) * 6, (0,) * 5), (0,) * 5, (0,))


@pytest.fixture(scope="module")
def cost() -> Cost:
    module = meta_model(LlamaConfig(**SEVENTY))
    prompts = {("capitals", 41): ([PROMPT] * 50, [PROMPT] * 50)}
    return Cost(module, find_architecture(module), prompts, range(80), None)


def at(gigabytes: float, gpu: bool = True) -> list[Place]:
    return [Place("there", int(gigabytes * 1e9), gpu)]


def test_the_parameters_of_seventy_billion_are_counted_without_a_weight(cost: Cost) -> None:
    counted = sum(parameter.numel() for parameter in cost.module.parameters())
    assert counted == 68_976_648_192  # as published
    assert cost.in_dtype("bfloat16", at(24))["weight_bytes"] == 2 * counted


@pytest.mark.parametrize(
    ("dtype", "gigabytes", "fits"),
    [("nf4", 24, False), ("nf4", 48, True), ("int8", 48, False), ("int8", 80, True)],
)
def test_seventy_billion_fit(cost: Cost, dtype: str, gigabytes: float, fits: bool) -> None:
    place = cost.in_dtype(dtype, at(gigabytes))["places"][0]
    assert place["fits"] is fits
    if fits:
        assert place["peak_bytes"] <= gigabytes * 1e9 and place["batch_size"] >= 1
    else:
        assert place["offloaded"] is None, "transformers offloads no weights of bitsandbytes"


def test_int8_in_ram_says_that_it_takes_more(cost: Cost) -> None:
    in_ram, on_gpu = (cost.in_dtype("int8", at(200, gpu))["places"][0] for gpu in (False, True))
    assert "twice this was measured" in in_ram["remark"] and "remark" not in on_gpu


def test_what_is_offloaded_is_moved_in_every_pass(cost: Cost) -> None:
    offloaded = cost.in_dtype("bfloat16", at(24))["places"][0]["offloaded"]
    weights = cost.in_dtype("bfloat16", at(24))["weight_bytes"]
    batch = offloaded["batch_size"] * cost.of_prompt("bfloat16")
    assert offloaded["bytes"] == weights + batch - 24_000_000_000
    whole = [one for one in cost.passes(offloaded["batch_size"])[("capitals", 41)]]
    shares = sum(one.blocks for one in whole) / 80
    assert offloaded["moved_bytes"] == pytest.approx(offloaded["bytes"] * shares)


def test_the_first_dtype_that_fits_is_proposed_and_batches_count(cost: Cost) -> None:
    of_dtypes = [cost.in_dtype(dtype, at(48)) for dtype in ("bfloat16", "int8", "nf4")]
    chosen = best_choice(of_dtypes)
    assert chosen is not None and chosen[0] == "nf4"
    assert best_choice(of_dtypes[:2]) is None
    large = Cost(cost.module, cost.architecture, cost.prompts, cost.layers, 500)
    place = large.in_dtype("nf4", at(48))["places"][0]
    assert place["fits"] is False and place["peak_bytes"] > 48e9


def test_a_job_is_a_unit_and_theta_is_most_of_what_comes_down(cost: Cost) -> None:
    [unit] = cost.prompts
    remote = cost.remote("bfloat16", {unit: 12_345})
    assert remote["jobs"] == 1 and remote["bytes_up"] == 12_345
    theta = 80 * 8192 * 2
    assert 0.8 * theta < remote["bytes_down"] < theta


def test_this_machine_has_memory() -> None:
    ram = places_here(None)[-1]
    assert ram.name == "RAM (cpu)" and not ram.gpu and ram.memory > 1e9
    assert places_here(24_000_000_000) == [Place("A GPU of 24 GB", 24_000_000_000, True)]


def test_memory_is_read_as_people_write_it() -> None:
    texts = ("24GB", "24 GiB", "24", "0.5g", "800MB")
    assert [parse_memory(text) for text in texts] == [24e9, 24 * 2**30, 24e9, 5e8, 8e8]


@pytest.mark.parametrize("text", ["", "much", "24 XB", "-3GB", "0", "infGB"])
def test_other_memory_is_refused(text: str) -> None:
    with pytest.raises(IclVectorsError, match="--memory"):
        parse_memory(text)


def test_tokens_are_estimated_by_signs_and_the_length_of_words() -> None:
    found = [estimated_tokens(text) for text in ("a→A\n", "c,d→d", "France→Paris\n")]
    assert found == [4, 5, 2 + 1 + 1 + 1]

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from icl_vectors.cost.work import Pass, Shape, passes_of_unit
from icl_vectors.graph.task import run_task
from icl_vectors.models.architecture import find_architecture
from icl_vectors.models.load import Model
from icl_vectors.models.meta import meta_model
from icl_vectors.prompts.batches import make_batches
from icl_vectors.prompts.encoding import EncodedPrompt, encode_prompt
from icl_vectors.prompts.limits import positions_limit
from icl_vectors.prompts.sampling import sample_prompts
from icl_vectors.prompts.template import Template
from icl_vectors.remote.cost import CODE_BYTES, bytes_down, bytes_up
from icl_vectors.tasks.task import load_task
from tests.benchmarks.measure import counted
from tests.benchmarks.package import as_prompt
from tests.benchmarks.random_model import random_prompts
from tests.families import FAMILIES
from tests.tiny import HIDDEN, N_LAYERS, N_TOKENS, Tiny

SIZE = 4


def encode(model: Model, n: int, seed: int) -> list[EncodedPrompt]:
    limit = positions_limit(model)
    prompts = random_prompts(n, n_tokens=N_TOKENS, seed=seed)
    return [encode_prompt(model.tokenizer, Template(), as_prompt(one), limit) for one in prompts]


@pytest.mark.parametrize("layers", [range(N_LAYERS), [1], [3, 0]])
def test_layer_tokens_are_those_that_the_blocks_really_see(tiny: Tiny, layers: Any) -> None:
    model = tiny.model
    dev, test = encode(model, 7, 2), encode(model, 5, 3)
    positions = model.way
    on_dev = make_batches(dev, SIZE, positions, with_query=False)
    on_test = make_batches(test, SIZE, positions)
    with counted(model.nnsight._module) as seen:
        run_task(model, on_dev, on_test, layers)
    passes = passes_of_unit(dev, test, list(layers), N_LAYERS, SIZE, model.way)
    assert sum(one.layer_tokens for one in passes) == sum(seen)


def test_flops_are_those_that_torch_counts(tiny: Tiny) -> None:
    maker: Any = AutoModelForCausalLM  # "eager": torch does not count the CPU's own attention
    model = maker.from_pretrained(tiny.folder, attn_implementation="eager")
    ids = torch.ones(3, 11, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=ids, use_cache=False)
    shape = Shape.of(model, tiny.model.architecture)
    expected = shape.flops(Pass(3, 11, N_LAYERS, 11, 33))
    assert expected == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_of_experts_only_those_of_one_token_are_counted() -> None:
    settings = FAMILIES["mixtral"]
    dense = _shape("llama", FAMILIES["llama"]).block_weights
    router, expert = 4 * HIDDEN, 3 * HIDDEN * 64
    assert _shape("mixtral", settings).block_weights == dense + expert + router


def _shape(family: str, settings: dict[str, Any]) -> Shape:
    module = meta_model(AutoConfig.for_model(family, **settings))
    return Shape.of(module, find_architecture(module))


def test_bytes_down_are_those_of_what_a_session_gives_compressed(tiny: Tiny) -> None:
    model, layers = tiny.model, [0, 2]
    dev, test = encode(model, 7, 2), encode(model, 5, 3)
    positions = model.way
    on_dev = make_batches(dev, SIZE, positions, with_query=False)
    found = run_task(model, on_dev, make_batches(test, SIZE, positions), layers)
    stream = io.BytesIO()
    torch.save({"found": found}, stream)
    packed = len(zstandard.ZstdCompressor(level=3).compress(stream.getvalue()))  # the server's
    down = bytes_down(7, 5, len(layers), 2, N_LAYERS, HIDDEN, 4)
    assert down == pytest.approx(packed, rel=0.35)  # framing counts for more than θ here


def test_more_prompts_send_more(llama: Model) -> None:
    dev, test = sample_prompts(load_task("fr_en"), dev=20, test=20)
    few, many = (bytes_up(Template(), prompts) for prompts in (dev, [*dev, *test]))
    assert CODE_BYTES < few < many < 2 * few


def test_the_module_needs_no_weights(llama_folder: Path) -> None:
    module = meta_model(AutoConfig.from_pretrained(llama_folder))
    assert {parameter.device.type for parameter in module.parameters()} == {"meta"}

import logging
import re
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from nnsight import TransformersModel
from transformers import Gemma3TextConfig, LlamaConfig

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.models import dtypes
from icl_vectors.models.dtypes import (
    DTYPES,
    choose_dtype,
    loading_options,
    quantised_as,
    require_computes,
)  # fmt: skip
from icl_vectors.models.memory_estimate import devices_of, require_fit, weight_bytes
from icl_vectors.models.meta import meta_model
from tests.benchmarks.random_model import build_tokenizer
from tests.experiments.test_cost import SEVENTY
from tests.families import random_of_family
from tests.tiny import N_TOKENS, bytes_tokenizer, load_plain, random_model, save_model
from tests.told import told

COUNTS: dict[str, Any] = {"dev": 4, "test": 4, "shots": 3}
WIDE: dict[str, Any] = {"hidden_size": 64}  # bitsandbytes takes multiples of 64


def test_auto_keeps_gemma_out_of_float16() -> None:
    half: dict[str, Any] = {"dtype": "float16"}
    assert choose_dtype("auto", Gemma3TextConfig(**half)) == "bfloat16"
    assert choose_dtype("auto", LlamaConfig(**half)) == "float16"
    assert choose_dtype("float16", Gemma3TextConfig(**half)) == "float16"
    assert choose_dtype("auto", LlamaConfig()) == "float32"


@pytest.mark.parametrize("dtype", ["int8", "nf4", "fp4"])
def test_a_quantised_dtype_without_its_extra_names_the_command(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(dtypes, "find_spec", lambda name: None)
    with pytest.raises(IclVectorsError, match=r'pip install "icl-vectors\[quantised\]"'):
        icl.load_model(str(llama_folder), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_this_cpu_computes_in_every_dtype(dtype: str) -> None:
    require_computes(dtype, "cpu")


@pytest.mark.parametrize("dtype", ["float32", "nf4"])
def test_a_device_that_cannot_is_refused_with_its_own_reason(dtype: str) -> None:
    cannot = f"--dtype {dtype}: meta does not compute in it at width 64 ("
    with told(cannot, "use --dtype bfloat16, or another --device"):
        require_computes(dtype, "meta")  # holds no numbers


@pytest.mark.parametrize("dtype", ["int8", "nf4", "fp4"])
def test_quantised_models_give_finite_results_on_a_cpu(wide_folder: Path, dtype: str) -> None:
    model = icl.load_model(str(wide_folder), dtype=dtype)
    found = icl.sweep(model, ["to_upper"], **COUNTS)
    assert found.data["dtype"] == dtype
    assert torch.isfinite(found.vectors[("to_upper", 41)].vectors).all()
    held = {parameter.dtype for parameter in model.nnsight._module.parameters()}
    assert (torch.int8 if dtype == "int8" else torch.uint8) in held


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model: Any = random_model("llama")
    with torch.no_grad():
        model.model.layers[2].mlp.down_proj.weight *= 1e7
    return save_model(tmp_path_factory.mktemp("large"), model, bytes_tokenizer())


def test_states_that_overflow_stop_the_run_with_block_dtype_and_remedy(overflowing: Path) -> None:
    expected = (
        "to_upper: the states of block 2 hold NaN or infinity in float16 on cpu, "
        "nothing was kept; use --dtype float32 or bfloat16."
    )
    with pytest.raises(RunError, match=re.escape(expected)):
        icl.sweep(icl.load_model(str(overflowing), dtype="float16"), ["to_upper"], **COUNTS)
    finite = icl.sweep(icl.load_model(str(overflowing), dtype="bfloat16"), ["to_upper"], **COUNTS)
    assert len(finite.data["tasks"]) == 1


def test_a_checkpoint_saved_in_nf4_is_what_it_is(wide_folder: Path, tmp_path: Path) -> None:
    opened = icl.load_model(str(wide_folder), dtype="nf4")
    folder = save_model(tmp_path / "nf4", opened.nnsight._module, bytes_tokenizer())
    again = icl.load_model(str(folder))
    assert (again.dtype, quantised_as(again.config)) == ("nf4", "nf4")
    pairs, dummies = {"a": "A", "b": "B"}, ["c"]
    before, after = (icl.extract(model, pairs, dummies).vectors for model in (opened, again))
    assert torch.equal(before, after)
    with pytest.raises(IclVectorsError, match="--dtype float32: this checkpoint was saved in nf4"):
        icl.load_model(str(folder), dtype="float32")


@pytest.mark.parametrize(
    ("family", "settings"),
    [("llama", WIDE), ("gpt2", {"n_embd": 64}), ("qwen2", WIDE), ("mixtral", WIDE)],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "nf4"])
def test_weight_bytes_are_those_of_the_model_that_is_loaded(
    tmp_path: Path, family: str, settings: dict[str, int], dtype: str
) -> None:
    folder = save_model(tmp_path, random_of_family(family, **settings), build_tokenizer(N_TOKENS))
    module = meta_model(load_plain(folder).config)
    model = TransformersModel(
        str(folder), task="text-generation", dtype=dtype, device_map={"": "cpu"}, dispatch=True
    )._module
    assert weight_bytes(module, dtype) == pytest.approx(_held(model), rel=0.02)


def _held(model: Any) -> int:
    total = 0
    for parameter in model.parameters():
        total += parameter.numel() * parameter.element_size()
        if (state := getattr(parameter, "quant_state", None)) is not None:
            total += state.absmax.numel() * state.absmax.element_size()
        if (rows := getattr(parameter, "SCB", None)) is not None:
            total += rows.numel() * rows.element_size()
    return total


def test_weights_larger_than_the_device_are_refused_before_loading() -> None:
    module = meta_model(LlamaConfig(**SEVENTY))
    if psutil.virtual_memory().total > 270e9:
        pytest.skip("this machine holds 270 GB")
    with told("takes 275.9 GB in float32, cpu has"):
        require_fit("large", module, "float32", {"": "cpu"})
    require_fit("large", module, "float32", "auto")
    assert weight_bytes(module, "nf4") == pytest.approx(39.6e9, rel=0.01)


def test_the_devices_of_a_map_are_known_before_loading() -> None:
    assert devices_of({"": "cpu"}) == ["cpu"]
    assert devices_of({"model": 0, "lm_head": 1, "norm": "disk"}) == ["cuda:0", "cuda:1"]
    assert devices_of("auto") == ["cuda:0" if torch.cuda.is_available() else "cpu"]


def test_a_model_spread_by_accelerate_or_partly_on_disk_answers_the_same(
    llama_folder: Path,
) -> None:
    on_cpu = ("embed_tokens", "rotary_emb", "layers.0", "layers.3", "norm")
    places = {f"model.{name}": "cpu" for name in on_cpu}
    places |= {"model.layers.1": "disk", "model.layers.2": "disk", "lm_head": "disk"}
    maps = (None, "auto", places)
    models = [icl.load_model(str(llama_folder), device_map=each) for each in maps]
    assert quantised_as(models[0].config) is None
    expected, *others = (icl.sweep(model, ["to_upper"], **COUNTS) for model in models)
    for found in others:
        assert found.data["tasks"] == expected.data["tasks"]
        vectors = (one.vectors["to_upper", 41].vectors for one in (found, expected))
        assert torch.equal(next(vectors), next(vectors))


def test_bitsandbytes_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        loading_options("int8", random_model("llama").config)
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    with caplog.at_level(logging.WARNING, logger=logger.name):  # a command may have calmed it
        for said in ("cast from bfloat16", "cast from bfloat16", "something else"):
            logger.warning("MatMul8bitLt: %s", said)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["MatMul8bitLt: cast from bfloat16", "MatMul8bitLt: something else"]

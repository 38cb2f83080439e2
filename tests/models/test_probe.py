import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig

import icl_vectors as icl
from icl_vectors.cost.plan import plan_sweep
from icl_vectors.errors import IclVectorsError
from icl_vectors.experiments.sweep import SweepConfig
from icl_vectors.models.architecture import find_architecture
from icl_vectors.models.meta import meta_model
from icl_vectors.models.probe import unprobed
from icl_vectors.remote.opening import open_on_meta
from tests.families import random_of_family, save_family
from tests.tiny import bytes_tokenizer, save_model


def opened(family: str, folder: Path) -> Any:
    return icl.load_model(str(save_family(family, folder / family)))


def test_a_model_that_caches_exactly_is_cached(tmp_path: Path) -> None:
    model = opened("llama", tmp_path)
    assert model.way.cached and model.way_reason == ""


def test_a_model_whose_padding_counts_runs_whole_prompts_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    folder = save_model(tmp_path / "rwkv", random_of_family("rwkv"), bytes_tokenizer())
    model = icl.load_model(str(folder), log=told.append)
    assert not model.way.cached
    assert any(model.way_reason in line and "whole prompts are run" in line for line in told)


def test_parallel_streams_are_one_wide_state(tmp_path: Path) -> None:
    streams = opened("gemma3n_text", tmp_path)
    assert streams.way.row_axis == 1 and streams.hidden == 4 * 32
    assert opened("deepseek_v4", tmp_path).hidden == 4 * 32


def on_meta(family: str, folder: Path) -> icl.Model:
    """A tiny model as one that a server holds is opened: without weights, and not probed."""
    model: icl.Model = opened(family, folder)
    there = open_on_meta(str(folder / family), f"tiny/{family}", model.tokenizer, {})
    assert next(there._module.parameters()).is_meta
    return replace(model, nnsight=there, host="http://127.0.0.1:1")


@pytest.mark.parametrize("family", ["gemma3n_text", "deepseek_v4", "hy_v4"])
def test_parallel_streams_are_refused_on_a_server_in_a_line(family: str, tmp_path: Path) -> None:
    with pytest.raises(IclVectorsError, match="found parallel streams.*without --remote") as raised:
        unprobed(on_meta(family, tmp_path))
    assert repr(family) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(("family", "path"), [("llama", "cached"), ("jamba", "whole")])
def test_one_stream_is_not_refused_on_a_server(family: str, path: str, tmp_path: Path) -> None:
    assert unprobed(on_meta(family, tmp_path)).way.name == path


def test_run_json_tells_the_path_and_why(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "jamba", random_of_family("jamba"), bytes_tokenizer())
    model = icl.load_model(str(folder))
    icl.sweep(model, ["to_upper"], dev=2, test=2, output=tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    assert run["path"] == {"name": "whole", "reason": model.way_reason} and model.way_reason


@pytest.mark.parametrize(("family", "runs"), [("dory", 6), ("hrm_text", 32)])
def test_each_run_of_a_looped_block_is_a_layer(family: str, runs: int, tmp_path: Path) -> None:
    model, there = opened(family, tmp_path), unprobed(on_meta(family, tmp_path))
    assert model.n_layers == there.n_layers == runs > len({*model.architecture.blocks})
    assert model.way == there.way and not model.way.cached
    assert model.way_reason == there.way_reason == "its blocks run several times in a pass"
    assert (
        plan_sweep(str(tmp_path / family), SweepConfig.make(tasks="to_upper"))["n_layers"] == runs
    )


def test_a_model_whose_states_have_the_tokens_first_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(IclVectorsError, match="states of shape .* for 2 rows of 7") as raised:
        opened("xlnet", tmp_path)
    assert "\n" not in str(raised.value)


def test_a_tokenizer_with_more_tokens_than_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", random_of_family("llama"), bytes_tokenizer())
    other = save_model(tmp_path / "n", random_of_family("llama", vocab_size=90), bytes_tokenizer())
    icl.load_model(str(folder))
    with pytest.raises(IclVectorsError, match="at most 90 tokens.*found 400") as raised:
        icl.load_model(str(other))
    assert "\n" not in str(raised.value)


def test_the_language_part_is_found_where_the_vision_part_has_as_many_blocks() -> None:
    module = random_of_family("mistral3")
    vision = [
        m for n, m in module.named_modules() if "vision" in n and type(m) is torch.nn.ModuleList
    ]
    found = find_architecture(module)
    assert {len(found.blocks)} <= {len(one) for one in vision}
    assert all("language_model" in path for path in found.blocks)


def test_sizes_that_differ_by_block_are_no_error() -> None:
    config = random_of_family("gemma4_text").config
    architecture = find_architecture(meta_model(AutoConfig.for_model(**config.to_dict())))
    assert architecture.hidden == 32 and len(architecture.blocks) == 4

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from nnsight import TransformersModel
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.models.load import as_model, load_model
from tests.families import random_of_family
from tests.tiny import bytes_tokenizer, load_plain, random_model, save_model

Change = Callable[[Path], object]
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n"


@pytest.fixture
def folder(tmp_path: Path, llama_folder: Path) -> Path:
    return shutil.copytree(llama_folder, tmp_path / "copy")


def rewrite(folder: Path, change: Any) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def test_one_tensor_that_lacks_is_no_random_numbers(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.pop("model.norm.weight"))
    with pytest.raises(IclVectorsError, match=r"found no model\.norm\.weight; fetch"):
        load_model(str(folder))


def test_a_tensor_that_nobody_asks_for_is_left_alone(folder: Path) -> None:
    rewrite(folder, lambda weights: weights.update(extra=torch.zeros(3)))
    assert load_model(str(folder)).n_layers == 4


def test_blocks_of_a_checkpoint_beyond_its_configuration_are_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    changed = {**config, "num_hidden_layers": 2}
    changed["layer_types"] = config.get("layer_types") and config["layer_types"][:2]
    (folder / "config.json").write_text(json.dumps(changed), "utf-8")
    with pytest.raises(IclVectorsError, match=r"expected the 2 blocks of its config\.json, found"):
        load_model(str(folder))


def test_further_blocks_that_predict_more_tokens_may_stand_in_a_checkpoint(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    further = {**config, "num_hidden_layers": 3, "num_nextn_predict_layers": 1}
    (folder / "config.json").write_text(json.dumps(further), "utf-8")
    assert load_model(str(folder)).n_layers == 3


@pytest.mark.parametrize("family", ["gpt2", "bloom", "gemma3"])
def test_tied_weights_do_not_lack(tmp_path: Path, family: str) -> None:
    model = random_model(family)
    tied = type(model)(model.config)
    tied.config.tie_word_embeddings = True
    tied.tie_weights()
    folder = save_model(tmp_path / family, tied, bytes_tokenizer())
    assert load_model(str(folder)).n_layers == 4


def configured(**settings: Any) -> Change:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **settings}), "utf-8")

    return change


def pickled(folder: Path) -> None:
    """Weights as a pickle, beside safetensors of something else."""
    torch.save(load_plain(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def left_with_an_adapter(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "adapter_config.json").write_text("{}", "utf-8")


def left_with_gguf(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "model.gguf").write_bytes(b"GGUF")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (configured(vocab_size=500), "expected lm_head.weight of shape (500, 32) by its config.js"),
        (configured(intermediate_size=96), "mlp.down_proj.weight of shape (32, 96) by its config"),
        (
            lambda folder: (folder / "model.safetensors").rename(folder / "weights.safetensors"),
            "expected model.safetensors, or shards with model.safetensors.index.json, found "
            "weights.safetensors",
        ),
        (pickled, "found adapter_model.safetensors, pytorch_model.bin; save the model with save_"),
        (left_with_an_adapter, "expected adapter_model.safetensors, found none; pickled weights"),
        (left_with_gguf, "expected config.json, found none beside model.gguf"),
        (
            lambda folder: (folder / "model.safetensors").write_text(LFS),
            "found a git-lfs pointer to it; run `git lfs pull`",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text(LFS), "found a git-lfs pointer"),
        (lambda folder: (folder / "config.json").write_text(LFS), "found a git-lfs pointer"),
        (
            lambda folder: (folder / "config.json").write_text("{}", "utf-8-sig"),
            "found a byte-order mark before it",
        ),
    ],
)
def test_what_can_not_be_loaded_says_why(folder: Path, change: Change, message: str) -> None:
    change(folder)
    with pytest.raises(IclVectorsError) as raised:
        load_model(str(folder))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_weight_that_lacks_is_refused_on_a_terminal_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)  # there transformers reports in colour
    rewrite(folder, lambda weights: weights.pop("model.norm.weight"))
    with pytest.raises(IclVectorsError, match=r"found no model\.norm\.weight; fetch"):
        load_model(str(folder))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_weights_that_do_not_fit_are_not_tried_again_in_another_dtype(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    asked = []

    def fails_once(*given: Any, **options: Any) -> Any:
        asked.append(options["dtype"])
        raise error

    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", fails_once)
    with pytest.raises(RunError, match="does not fit in memory in bfloat16 .*; try --dtype nf4"):
        load_model(str(folder), dtype="bfloat16")
    assert asked == [torch.bfloat16]


def test_a_model_that_memory_does_not_hold_ends_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    torch.manual_seed(1)
    model = random_of_family("llama", hidden_size=1024, intermediate_size=16384)
    save_model(folder, model, bytes_tokenizer())
    program = (
        "import resource, sys, torch, transformers, nnsight\n"
        "from icl_vectors.cli.main import main\n"
        "from icl_vectors import models\n"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + 300_000_000,) * 2)\n"
        "sys.argv = ['icl-vectors', *sys.argv[1:]]\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "check", "--model", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "does not fit in memory in float32" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_weights_in_another_dtype_than_the_chosen_one_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = LlamaForCausalLM.from_pretrained
    monkeypatch.setattr(
        LlamaForCausalLM,
        "from_pretrained",
        lambda *given, **options: loads(*given, **{**options, "dtype": torch.float32}),
    )
    with pytest.raises(
        IclVectorsError, match="expected weights in bfloat16, found them in float32"
    ):
        load_model(str(folder), dtype="bfloat16")


def test_an_adapter_beside_the_weights_is_told_and_changes_nothing(folder: Path) -> None:
    before = load_model(str(folder)).fingerprint
    shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "another/model"}')
    shutil.copy(folder / "model.safetensors", folder / "optimizer.safetensors")
    told: list[str] = []
    after = load_model(str(folder), notice=told.append)
    assert after.fingerprint == before
    assert any("the adapter in its folder is not applied" in line for line in told)
    assert any("optimizer.safetensors in its folder: not part of its weights" in t for t in told)


def test_a_hub_model_of_pickled_weights_alone_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "hub" / "models--lab--model"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("1" * 40, "utf-8")
    pickled(folder)
    (folder / "adapter_model.safetensors").unlink()
    shutil.copytree(folder, place / "snapshots" / ("1" * 40))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(IclVectorsError, match="found none in the local cache .*; pickled weights"):
        load_model("lab/model")


def test_models_that_a_user_opened_from_other_files_are_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    found = []
    for factor in (1.0, 1.5):
        other = Path(shutil.copytree(folder, tmp_path / str(factor)))
        rewrite(other, lambda weights, by=factor: weights["lm_head.weight"].mul_(by))
        pickled(other)
        opened = TransformersModel(str(other), task="text-generation", dispatch=True)
        found.append(as_model(opened).fingerprint)
        plain = load_plain(other)
        module = TransformersModel(plain, task="text-generation", tokenizer=opened.tokenizer)
        assert as_model(module).fingerprint == found[-1]
    assert found[0] != found[1]


def quantised(folder: Path, pack: Callable[[dict[str, Any]], None], **about: Any) -> Path:
    rewrite(folder, pack)
    configured(dtype="bfloat16", quantization_config=about)(folder)
    return folder


def as_fp8(weights: dict[str, Any]) -> None:
    for name in [name for name in weights if "proj.weight" in name]:
        weights[f"{name}_scale_inv"] = torch.ones(1, 1)
        weights[name] = weights[name].to(torch.float8_e4m3fn)


def as_mxfp4(weights: dict[str, Any]) -> None:
    for name in [name for name in weights if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, inputs, outputs = weights.pop(name).shape
        blocks = (experts, outputs, inputs // 32)
        weights[f"{name}_blocks"] = torch.randint(0, 255, (*blocks, 16), dtype=torch.uint8)
        weights[f"{name}_scales"] = torch.full(blocks, 120, dtype=torch.uint8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU may hold these as they are")
@pytest.mark.parametrize(
    ("family", "pack", "about"),
    [
        ("llama", as_fp8, {"quant_method": "fp8", "weight_block_size": [128, 128]}),
        (
            "gpt_oss",
            as_mxfp4,
            {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head", "model.embed_tokens"]},
        ),
    ],
)
def test_weights_that_are_dequantised_on_this_machine_are_recorded_so(
    tmp_path: Path, family: str, pack: Any, about: dict[str, Any]
) -> None:
    folder = save_model(tmp_path / family, random_of_family(family), bytes_tokenizer())
    told: list[str] = []
    model = load_model(str(quantised(folder, pack, **about)), notice=told.append)
    assert model.dtype == "bfloat16"
    assert {one.dtype for one in model.nnsight._module.parameters()} == {torch.bfloat16}
    assert any(f"holds its {about['quant_method']} weights as bfloat16" in line for line in told)


def test_opening_a_small_model_in_a_terminal_says_nothing(llama_folder: Path) -> None:
    program = f"import icl_vectors as icl; icl.load_model({str(llama_folder)!r}); print('opened')"
    reader, terminal = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=terminal, text=True
        )
        os.write(terminal, b"end")
        assert (done.stdout, os.read(reader, 10_000)) == ("opened\n", b"end")
    finally:
        os.close(reader)
        os.close(terminal)

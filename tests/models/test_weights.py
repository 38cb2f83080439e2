import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from nnsight import TransformersModel
from transformers import LlamaForCausalLM

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.models.load import as_model, load_model
from tests.families import random_of_family
from tests.models.checkpoints import Change, configured, fill_cache, rewritten, written
from tests.tiny import bytes_tokenizer, load_plain, random_model, save_model
from tests.told import told

DENSE = ["lm_head", "model.embed_tokens"]
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n"


@pytest.fixture
def folder(tmp_path: Path, llama_folder: Path) -> Path:
    return shutil.copytree(llama_folder, tmp_path / "copy")


def test_a_tensor_that_nobody_asks_for_is_left_alone(folder: Path) -> None:
    rewritten(lambda weights: weights.update(extra=torch.zeros(3)))(folder)
    assert load_model(str(folder)).n_layers == 4


def test_blocks_beyond_the_configuration_are_told_but_not_next_n(folder: Path) -> None:
    configured(num_hidden_layers=3, num_nextn_predict_layers=1)(folder)
    assert load_model(str(folder)).n_layers == 3
    configured(num_hidden_layers=2, num_nextn_predict_layers=None, layer_types=None)(folder)
    with pytest.raises(IclVectorsError, match=r"expected the 2 blocks of its config\.json, found"):
        load_model(str(folder))


@pytest.mark.parametrize("family", ["gpt2", "bloom", "gemma3"])
def test_tied_weights_do_not_lack(tmp_path: Path, family: str) -> None:
    model = random_model(family)
    tied = type(model)(model.config)
    tied.config.tie_word_embeddings = True
    tied.tie_weights()
    folder = save_model(tmp_path / family, tied, bytes_tokenizer())
    assert load_model(str(folder)).n_layers == 4


def pickled(folder: Path) -> None:
    """Weights as a pickle, beside safetensors of something else."""
    torch.save(load_plain(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def left_with(name: str, content: bytes) -> Change:
    def change(folder: Path) -> None:
        for file in folder.iterdir():
            file.unlink()
        (folder / name).write_bytes(content)

    return change


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
        (left_with("adapter_config.json", b"{}"), "expected adapter_model.safetensors, found none"),
        (left_with("model.gguf", b"GGUF"), "expected config.json, found none beside model.gguf"),
        (written("model.safetensors", LFS), "found a git-lfs pointer to it; run `git lfs pull`"),
        (written("tokenizer.json", LFS), "found a git-lfs pointer"),
        (written("config.json", LFS), "found a git-lfs pointer"),
        (written("config.json", "{}", "utf-8-sig"), "found a byte-order mark before it"),
    ],
)
def test_what_can_not_be_loaded_says_why(folder: Path, change: Change, message: str) -> None:
    change(folder)
    with told(message):
        load_model(str(folder))


def test_a_weight_that_lacks_is_refused_on_a_terminal_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(lambda weights: weights.pop("model.norm.weight"))(folder)
    for terminal in (False, True):  # there transformers reports in colour
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal)
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
    with pytest.raises(IclVectorsError, match="expected weights in bfloat16, found them in float3"):
        load_model(str(folder), dtype="bfloat16")


def test_an_adapter_beside_the_weights_is_told_and_changes_nothing(folder: Path) -> None:
    before = load_model(str(folder)).fingerprint
    shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "another/model"}')
    shutil.copy(folder / "model.safetensors", folder / "optimizer.safetensors")
    told: list[str] = []
    after = load_model(str(folder), log=told.append)
    assert after.fingerprint == before
    assert any("the adapter in its folder is not applied" in line for line in told)
    assert any("optimizer.safetensors in its folder: not part of its weights" in t for t in told)


def test_a_hub_model_of_pickled_weights_alone_is_refused(folder: Path, hub: Path) -> None:
    pickled(folder)
    (folder / "adapter_model.safetensors").unlink()
    fill_cache(hub, "lab/model", main=("1" * 40, folder))
    with pytest.raises(IclVectorsError, match="found none in the local cache .*; pickled weights"):
        load_model("lab/model")


def test_models_that_a_user_opened_from_other_files_are_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    found = []
    for factor in (1.0, 1.5):
        other = Path(shutil.copytree(folder, tmp_path / str(factor)))
        scale: Any = partial(lambda by, weights: weights["lm_head.weight"].mul_(by), factor)
        rewritten(scale)(other)
        pickled(other)
        opened = TransformersModel(str(other), task="text-generation", dispatch=True)
        found.append(as_model(opened).fingerprint)
        plain = load_plain(other)
        module = TransformersModel(plain, task="text-generation", tokenizer=opened.tokenizer)
        assert as_model(module).fingerprint == found[-1]
    assert found[0] != found[1]


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
        ("gpt_oss", as_mxfp4, {"quant_method": "mxfp4", "modules_to_not_convert": DENSE}),
    ],
)
def test_weights_that_are_dequantised_on_this_machine_are_recorded_so(
    tmp_path: Path, family: str, pack: Any, about: dict[str, Any]
) -> None:
    folder = save_model(tmp_path / family, random_of_family(family), bytes_tokenizer())
    told: list[str] = []
    rewritten(pack)(folder)
    configured(dtype="bfloat16", quantization_config=about)(folder)
    model = load_model(str(folder), log=told.append)
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

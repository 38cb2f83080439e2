import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from nnsight import TransformersModel
from transformers import AutoConfig, AutoModelForCausalLM, T5Config, T5ForConditionalGeneration

import icl_vectors as icl
from icl_vectors.errors import IclVectorsError
from icl_vectors.models.architecture import find_architecture
from icl_vectors.models.load import Model, as_model, load_model
from icl_vectors.models.source import load_tokenizer
from icl_vectors.prompts.limits import UNBOUNDED, positions_limit
from tests.models.checkpoints import configured
from tests.tiny import HIDDEN, N_LAYERS, Tiny

BLOCKS = dict.fromkeys(("gpt2", "gptj", "bloom"), "transformer.h.")
BLOCKS |= dict.fromkeys(("llama", "gemma3"), "model.layers.")


def test_blocks_and_head_are_found_in_every_family(tiny: Tiny) -> None:
    architecture = tiny.model.architecture
    assert architecture.blocks == tuple(f"{BLOCKS[tiny.family]}{i}" for i in range(N_LAYERS))
    assert architecture.head == "lm_head"
    assert architecture.takes_positions is (tiny.family != "bloom")
    assert len(tiny.model.blocks) == tiny.model.n_layers == N_LAYERS
    assert tiny.model.config.hidden_size == HIDDEN


def test_a_model_says_what_it_is(llama: Model, llama_folder: Path) -> None:
    assert llama.reference == str(llama_folder)
    assert llama.folder == llama_folder
    assert (llama.dtype, llama.device, llama.weights) == ("float32", "cpu", "")
    assert repr(llama) == (
        f"Model({str(llama_folder)!r}, dtype=float32, device=cpu, layers=4, hidden=32)"
    )


def test_weights_are_held_in_the_dtype_that_was_asked_for_or_the_checkpoint_s(
    llama_folder: Path, tmp_path: Path
) -> None:
    half = Path(shutil.copytree(llama_folder, tmp_path / "half"))
    configured(dtype="bfloat16")(half)
    for folder, asked, dtype in (
        (llama_folder, "float32", "float32"),
        (llama_folder, "bfloat16", "bfloat16"),
        (llama_folder, "float16", "float16"),
        (llama_folder, "auto", "float32"),
        (half, "auto", "bfloat16"),
    ):
        model = load_model(str(folder), dtype=asked)
        held = {str(parameter.dtype) for parameter in model.nnsight._module.parameters()}
        assert (model.dtype, held) == (dtype, {f"torch.{dtype}"})


def test_the_tokenizer_can_be_loaded_alone(llama: Model, llama_folder: Path) -> None:
    text = "France→Paris"
    assert load_tokenizer(str(llama_folder))(text).input_ids == llama.tokenizer(text).input_ids


def test_a_model_of_nnsight_is_used_as_it_is(llama: Model, llama_folder: Path) -> None:
    opened = TransformersModel(str(llama_folder), task="text-generation", dispatch=True)
    used = as_model(opened)
    assert used.nnsight is opened
    assert (used.fingerprint, used.dtype) == (llama.fingerprint, "float32")
    assert as_model(used) is used
    pairs = {"a": "b", "c": "d"}
    assert torch.equal(
        icl.extract(opened, pairs, ["e"]).vectors, icl.extract(llama, pairs, ["e"]).vectors
    )


@pytest.mark.parametrize("other", [None, "gpt2", 3])
def test_anything_else_is_no_model(other: Any) -> None:
    with pytest.raises(IclVectorsError, match="expected a model of icl_vectors.load_model"):
        as_model(other)


def test_a_hub_id_that_cannot_be_fetched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(IclVectorsError, match="model 'nobody/nothing': expected its configuration"):
        load_model("nobody/nothing")


def test_an_encoder_decoder_is_refused() -> None:
    config = T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2)
    with pytest.raises(IclVectorsError, match="model type 't5' is an encoder–decoder"):
        find_architecture(T5ForConditionalGeneration(config))


def test_a_state_space_model_does_not_claim_to_keep_keys_and_values_alone() -> None:
    config = AutoConfig.for_model("mamba", vocab_size=20, hidden_size=8, num_hidden_layers=2)
    maker: Any = AutoModelForCausalLM
    assert not find_architecture(maker.from_config(config)).keeps_cache


def test_a_model_without_such_blocks_is_refused(tiny: Tiny) -> None:
    class Headless(torch.nn.Module):
        config = tiny.plain.config

        def forward(self, past_key_values: Any) -> None: ...

        def get_output_embeddings(self) -> None:
            return None

    with pytest.raises(IclVectorsError, match="expected one list of 4 decoder blocks and an unemb"):
        find_architecture(Headless())


def test_the_longest_prompt_is_what_the_configuration_says(tiny: Tiny) -> None:
    expected = {"llama": 2048, "gpt2": 128, "gptj": 256, "bloom": UNBOUNDED, "gemma3": 131072}
    assert positions_limit(tiny.model) == expected[tiny.family]


def test_a_gated_tokenizer_says_how(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise OSError("You are trying to access a gated repo.\nMake sure to have access to it")

    monkeypatch.setattr("icl_vectors.models.source.AutoTokenizer.from_pretrained", refuse)
    with pytest.raises(IclVectorsError, match="its tokenizer is gated; accept its terms at https"):
        load_model(str(llama_folder))

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from icl_vectors.errors import IclVectorsError
from icl_vectors.models import load_model
from tests.tiny import bytes_tokenizer, random_model, save_model


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

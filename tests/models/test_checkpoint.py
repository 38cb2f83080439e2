import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from icl_vectors.errors import IclVectorsError
from icl_vectors.models.checkpoint import commit_of, fingerprint_of_folder, require_weights
from icl_vectors.models.load import load_model
from tests.benchmarks.random_model import random_llama
from tests.tiny import N_TOKENS


def make(
    folder: Path, *, shape: tuple[int, ...] = (2, 3), config: str = '{"a": 1, "b": 2}'
) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config, "utf-8")
    save_file({"weight": torch.zeros(shape)}, folder / "model.safetensors")
    return folder


def test_the_fingerprint_is_the_same_in_every_dtype(llama_folder: Path) -> None:
    found = {load_model(str(llama_folder), dtype=dtype).fingerprint for dtype in DTYPES}
    assert found == {fingerprint_of_folder(llama_folder)}


DTYPES = ("auto", "float32", "bfloat16", "float16")


def test_the_fingerprint_belongs_to_configuration_and_shapes(tmp_path: Path) -> None:
    one = fingerprint_of_folder(make(tmp_path / "one"))
    reordered = make(tmp_path / "two", config='{"b": 2,\n  "a": 1}')
    assert one == fingerprint_of_folder(reordered)
    assert one != fingerprint_of_folder(make(tmp_path / "three", shape=(3, 2)))
    assert one != fingerprint_of_folder(make(tmp_path / "four", config='{"a": 1, "b": 3}'))


def test_a_hub_checkpoint_is_known_by_its_commit_or_else_its_name() -> None:
    assert commit_of(SimpleNamespace(_commit_hash="c0ffee"), "a/b") == "c0ffee"
    unnamed = commit_of(SimpleNamespace(_commit_hash=None), "a/b")
    assert unnamed == commit_of(SimpleNamespace(), "a/b") != commit_of(SimpleNamespace(), "a/c")


def test_a_whole_folder_is_accepted(tmp_path: Path) -> None:
    require_weights(make(tmp_path / "model"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": 3}'])
def test_a_damaged_index_is_refused(tmp_path: Path, text: str) -> None:
    folder = make(tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(text, "utf-8")
    with pytest.raises(IclVectorsError, match=r"model\.safetensors\.index\.json is damaged"):
        require_weights(folder)


@pytest.mark.parametrize(
    "content", [b"", b"1234", struct.pack("<Q", 1 << 50), struct.pack("<Q", 100) + b"{}"]
)
def test_a_damaged_header_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = make(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(IclVectorsError, match="found a damaged header; fetch it again"):
        fingerprint_of_folder(folder)


def test_other_weights_of_the_same_shapes_have_another_fingerprint(tmp_path: Path) -> None:
    folders = []
    for seed in (1, 2):
        folders.append(tmp_path / str(seed))
        model = random_llama(
            n_layers=2, hidden=32, heads=4, intermediate=64, n_tokens=N_TOKENS, seed=seed
        )
        model.save_pretrained(folders[-1])
    first, second = map(fingerprint_of_folder, folders)
    assert first != second
    assert first == fingerprint_of_folder(folders[0])

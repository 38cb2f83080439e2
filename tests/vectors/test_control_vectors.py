from pathlib import Path

import pytest
import torch
from gguf import GGUFReader

from icl_vectors.errors import IclVectorsError
from icl_vectors.vectors.gguf import LOST
from tests.vectors.test_vectors import vector


def test_directions_are_read_back_as_llama_cpp_reads_them(tmp_path: Path) -> None:
    theta = vector(best_layer=None, model_type="gemma3_text")
    file = tmp_path / "theta.gguf"
    assert theta.export_gguf(file) == (2, 5)  # not 0: llama.cpp has no direction for it
    reader = GGUFReader(file)
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.model_hint"].contents() == "gemma3_text"
    assert reader.fields["controlvector.layer_count"].contents() == 2
    assert LOST in reader.fields["general.description"].contents()
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert set(found) == {"direction.2", "direction.5"}
    for layer in (2, 5):
        tensor = found[f"direction.{layer}"]
        assert (tensor.tensor_type.name, list(tensor.shape)) == ("F32", [8])
        assert torch.equal(torch.tensor(tensor.data), theta.at(layer))


def test_the_best_layer_alone_is_written_where_one_is_named(tmp_path: Path) -> None:
    assert vector(best_layer=5).export_gguf(tmp_path / "t.gguf") == (5,)
    assert vector(best_layer=5).export_gguf(tmp_path / "t.gguf", layers=[5, 2]) == (2, 5)
    assert [file.name for file in tmp_path.iterdir()] == ["t.gguf"]


@pytest.mark.parametrize(
    ("layers", "message"),
    [([0], "found 0; llama.cpp has no direction"), ([], "found none"), ([3], "holds the layers 0")],
)
def test_layers_not_to_be_written(tmp_path: Path, layers: list[int], message: str) -> None:
    with pytest.raises(IclVectorsError, match=message):
        vector().export_gguf(tmp_path / "t.gguf", layers=layers)
    with pytest.raises(IclVectorsError, match="llama.cpp has no direction for block 0"):
        vector(vectors=torch.ones(1, 8), layers=(0,), best_layer=0).export_gguf(tmp_path / "t.gguf")
    assert list(tmp_path.iterdir()) == []

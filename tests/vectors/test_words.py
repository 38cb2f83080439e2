"""θ as tokens at each block, against the plain model's norm and unembedding."""

from pathlib import Path

import pytest
import torch

import icl_vectors as icl
from tests.tiny import N_LAYERS, load_plain
from tests.twins.unembed import unembed

PAIRS = {"a": "A", "b": "B", "c": "C", "d": "D"}


def test_the_words_are_those_of_plain_transformers(llama: icl.Model, llama_folder: Path) -> None:
    theta = icl.extract(llama, PAIRS, ["e", "f"])
    frame = icl.words(llama, theta, ["g", "h"], top_k=5)
    assert [*frame.columns] == ["layer", "of", "rank", "token", "value"]
    assert len(frame) == N_LAYERS * 3 * 5
    said = unembed(load_plain(llama_folder), theta.vectors).softmax(-1)  # (layer, vocab)
    top = said.topk(5, -1)
    for layer, own in frame[frame["of"] == "theta"].groupby("layer"):
        tokens = top.indices[int(str(layer))]
        assert [*own["token"]] == [llama.tokenizer.decode([token]) for token in tokens.tolist()]
        found = torch.tensor([*own["value"]])
        assert torch.allclose(found, top.values[int(str(layer))].float(), atol=1e-5)
    some = icl.words(llama, theta, "g", layers=[2, 0], top_k=1)
    assert [*dict.fromkeys(some["layer"])] == [0, 2]


def test_what_is_no_vector_is_refused_in_a_line(llama: icl.Model) -> None:
    with pytest.raises(icl.IclVectorsError, match="expected a task vector, found NoneType"):
        icl.words(llama, None, ["g"])  # type: ignore[arg-type]

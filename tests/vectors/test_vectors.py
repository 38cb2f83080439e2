import json
import pickle
import re
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from icl_vectors.errors import IclVectorsError
from icl_vectors.vectors.vector import TaskVector
from icl_vectors.vectors.vector_file import FORMAT
from tests.told import told


def vector(**changes: Any) -> TaskVector:
    about: dict[str, Any] = {
        "vectors": torch.randn(3, 8, generator=torch.Generator().manual_seed(1)),
        "layers": (0, 2, 5),
        "model": "some/model",
        "fingerprint": "abc",
        "dtype": "float32",
        "template": "{input}→{output}",
        "task": "capitals",
        "revision": "main",
        "best_layer": 2,
        "seed": 41,
        "demonstrations": (("France", "Paris"), ("Perú", "Lima")),
        "dummies": ("Kenya",),
    }
    return TaskVector(**{**about, **changes})


def without_vectors(theta: TaskVector) -> dict[str, Any]:
    return {key: value for key, value in asdict(theta).items() if key != "vectors"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict.fromkeys(("best_layer", "seed", "revision")) | {"demonstrations": (), "dummies": ()},
        {"vectors": torch.randn(1000, 8)[::500], "layers": (0, 1)},  # of a larger tensor
        {"vectors": torch.tensor([[0, -0.0, torch.nan, torch.inf, 1e-45, 3.4e38]]), "layers": (1,)},
    ],
)
def test_a_saved_vector_is_read_back_bit_for_bit(tmp_path: Path, changes: dict[str, Any]) -> None:
    theta = vector(**changes)
    file = theta.save(tmp_path / "theta.safetensors")
    found = TaskVector.load(file)
    assert found.vectors.numpy().tobytes() == theta.vectors.numpy().tobytes()
    assert found.vectors.dtype is torch.float32
    assert without_vectors(found) == without_vectors(theta)
    assert file.stat().st_size < 2000, "saved alone"


def test_the_same_vector_always_gives_the_same_bytes_and_no_other_file(tmp_path: Path) -> None:
    file = tmp_path / "theta.safetensors"
    assert len({vector().save(file).read_bytes() for _ in range(20)}) == 1
    vector(task="other").save(file)
    assert [*tmp_path.iterdir()] == [file]
    assert TaskVector.load(file).task == "other"


def test_a_layer_is_found_by_its_number_and_not_by_its_row() -> None:
    theta = vector()
    assert torch.equal(theta.at(5), theta.vectors[2])
    assert torch.equal(theta.only([5, 0]).vectors, theta.vectors[[2, 0]])
    assert theta.only([5, 0]).layers == (5, 0)
    with pytest.raises(IclVectorsError, match="layer 1: this task vector holds the layers 0, 2, 5"):
        theta.at(1)


@pytest.mark.parametrize(("shape", "layers"), [((3, 8), (0, 1)), ((8,), (0,)), ((1, 2, 3), (0,))])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...], layers: tuple[int, ...]) -> None:
    with pytest.raises(IclVectorsError, match=re.escape(f"found the shape {shape}")):
        vector(vectors=torch.zeros(shape), layers=layers)


def damaged(content: bytes) -> list[bytes]:
    header = struct.unpack("<Q", content[:8])[0]
    return [
        b"",
        content[:5],
        content[: 8 + header // 2],
        content[:-4],
        content + b"more",
        struct.pack("<Q", 1 << 60) + content[8:],
        content[:8] + b"x" * header + content[8 + header :],
        pickle.dumps({"vectors": [1, 2, 3]}),
        b"\x89PNG\r\n\x1a\n" * 4,
    ]


def test_a_damaged_truncated_or_foreign_file_is_refused(tmp_path: Path) -> None:
    content = vector().save(tmp_path / "theta.safetensors").read_bytes()
    for number, broken in enumerate(damaged(content)):
        file = tmp_path / f"{number}.safetensors"
        file.write_bytes(broken)
        with told(str(file)):
            TaskVector.load(file)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    marker = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (marker,)

    file = tmp_path / "theta.safetensors"
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(IclVectorsError, match="expected a task vector as safetensors"):
        TaskVector.load(file)
    torch.save({"vectors": torch.zeros(2, 2)}, file)
    with pytest.raises(IclVectorsError, match="expected a task vector as safetensors"):
        TaskVector.load(file)
    assert not marker.exists()


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"format": FORMAT},
        {"format": FORMAT, "task_vector": "{"},
        {"format": FORMAT, "task_vector": "{}"},
        {"format": FORMAT, "task_vector": "[1, 2]"},
        {"format": FORMAT, "task_vector": json.dumps({"layers": 3})},
    ],
)
def test_other_safetensors_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    file = tmp_path / "theta.safetensors"
    save_file({"vectors": torch.zeros(1, 2)}, file, metadata)
    with pytest.raises(IclVectorsError, match="expected a task vector"):
        TaskVector.load(file)


def test_a_tensor_of_another_shape_than_its_description_is_refused(tmp_path: Path) -> None:
    file = vector().save(tmp_path / "theta.safetensors")
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    save_file({"vectors": torch.zeros(1, 2)}, file, metadata)
    with pytest.raises(IclVectorsError, match="the file is damaged; make or fetch it again"):
        TaskVector.load(file)


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x20])
def test_a_flipped_byte_anywhere_is_refused_in_one_line(tmp_path: Path, flip: int) -> None:
    content = vector().save(tmp_path / "theta.safetensors").read_bytes()
    file = tmp_path / "flipped.safetensors"
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
        with told(str(file)):
            TaskVector.load(file)


def test_any_safetensors_tool_reads_the_description(tmp_path: Path) -> None:
    file = vector().save(tmp_path / "theta.safetensors")
    with safe_open(file, framework="np") as opened:
        about, numbers = opened.metadata(), opened.get_tensor("vectors")
    assert about["model"] == "some/model" and about["task"] == "capitals"
    assert json.loads(about["layers"]) == [0, 2, 5]
    assert json.loads(about["demonstrations"]) == [["France", "Paris"], ["Perú", "Lima"]]
    assert (numbers == vector().vectors.numpy()).all()
    stated = {"revision", "fingerprint", "template", "dummies", "dtype", "seed", "version"}
    assert stated <= set(about)


def test_a_vector_shows_what_it_is() -> None:
    told = "TaskVector('capitals', layers 0–5, best 2, hidden=8, model='some/model', float32)"
    assert repr(vector()) == told
    assert repr(vector(task="", best_layer=None)).startswith("TaskVector('unnamed', layers 0–5, h")

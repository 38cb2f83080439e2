import io
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard

from icl_vectors.errors import RunError
from icl_vectors.remote.backend import PatientBackend
from icl_vectors.remote.job import Job, JobCost


class Away:
    """As much of a model as a backend asks for."""

    def to_model_key(self) -> str:
        return "any"

    def _remoteable_get_env(self) -> dict[str, Any]:
        return {}


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def packed(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return zstandard.compress(stream.getvalue())


@pytest.fixture
def dismissed() -> list[bool]:
    return []


@pytest.fixture
def backend(dismissed: list[bool]) -> PatientBackend:
    job = Job(known=JobCost("1"), dismissed=lambda: dismissed.append(True))
    return PatientBackend(Away(), "http://127.0.0.1:5001", job)


def test_tensors_and_plain_values_are_read(backend: PatientBackend) -> None:
    found = backend.finalize(packed({"found": {"theta": torch.ones(2), "best": 3}}))
    assert found["found"]["best"] == 3 and found["found"]["theta"].tolist() == [1, 1]


def test_an_answer_that_would_run_code_is_refused(
    backend: PatientBackend, dismissed: list[bool], tmp_path: Path
) -> None:
    file = tmp_path / "made"
    with pytest.raises(RunError, match="no set of tensors"):
        backend.finalize(packed({"found": Hostile(file)}))
    assert not file.exists() and dismissed


@pytest.mark.parametrize("damage", ["cut", "not compressed", "empty"])
def test_damage_is_refused(backend: PatientBackend, dismissed: list[bool], damage: str) -> None:
    whole = packed({"found": torch.ones(100)})
    content = {"cut": whole[: len(whole) // 2], "not compressed": b"<html>", "empty": b""}[damage]
    with pytest.raises(RunError, match="answered job 1 with something that is no set of tensors"):
        backend.finalize(content)
    assert dismissed

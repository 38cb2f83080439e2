import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from icl_vectors.errors import IclVectorsError
from icl_vectors.vectors.vector import TaskVector
from tests.vectors.test_vectors import vector


def test_the_mean_keeps_what_all_share() -> None:
    a = vector()
    b = vector(vectors=a.vectors * 3, task="other", best_layer=2, seed=7)
    found = TaskVector.mean([a, b])
    assert_close(found.vectors, a.vectors * 2)
    assert (found.task, found.best_layer, found.seed) == ("", 2, None)
    assert found.demonstrations == () and found.dummies == ()
    assert found.made_by == "mean of 2: capitals, other"
    assert (found.layers, found.model, found.fingerprint) == (a.layers, a.model, a.fingerprint)


def test_difference_sum_and_scale_are_those_of_the_numbers(tmp_path: Path) -> None:
    a, b = vector(), vector(vectors=torch.ones(3, 8), task="ones")
    before = a.vectors.clone()
    assert torch.equal((a - b).vectors, a.vectors - 1)
    assert torch.equal((a + b).vectors, a.vectors + 1)
    assert torch.equal((2 * a).vectors, a.vectors * 2)
    assert torch.equal((a * 0.5).vectors, a.vectors / 2)
    assert torch.equal((a / 2).vectors, a.vectors / 2) and torch.equal((-a).vectors, -a.vectors)
    total = sum([a, b, b])
    assert isinstance(total, TaskVector) and torch.equal(total.vectors, a.vectors + 1 + 1)
    assert torch.equal((a - a).vectors, torch.zeros(3, 8))
    assert torch.equal(TaskVector.mean([a]).vectors, a.vectors)
    made = 2 * (a - b)
    assert made.made_by == "2 * (capitals - ones)"
    found = TaskVector.load(made.save(tmp_path / "made.safetensors"))
    assert found.made_by == made.made_by and torch.equal(found.vectors, made.vectors)
    _ = (3 * a, TaskVector.mean([a, a]), a.cosine(a))
    assert torch.equal(a.vectors, before), "nothing is changed in place"


@pytest.mark.parametrize("wrong", [lambda a: a / 0, lambda a: a / "2", lambda a: 1 + a])
def test_what_is_no_arithmetic_of_vectors_is_refused(wrong: Any) -> None:
    with pytest.raises(IclVectorsError, match="expected (a number other than 0|task vectors)"):
        wrong(vector())


def test_cosines_and_norms_are_those_of_each_layer() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    other = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, 1.0]])
    found = vector(vectors=rows).cosine(vector(vectors=other))
    assert_close(found, torch.tensor([1.0, 0.0, -math.sqrt(0.5)]))
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    assert vector(vectors=rows).norms() == [5.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fingerprint", "xyz", "found fingerprint abc and xyz"),
        ("layers", (0, 1, 2), r"found layers \(0, 2, 5\) and \(0, 1, 2\)"),
        ("template", "{input}:{output}", "found template {input}→{output} and {input}:{output}"),
    ],
)
def test_vectors_of_different_kinds_are_not_mixed(name: str, value: object, message: str) -> None:
    a, b = vector(), vector(**{name: value})
    mean: Any = lambda a, b: TaskVector.mean([a, a, b])  # noqa: E731
    for mix in (TaskVector.__add__, TaskVector.__sub__, TaskVector.cosine, mean):
        with pytest.raises(IclVectorsError, match=message):
            mix(a, b)


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(IclVectorsError, match="expected task vectors to compute with, found none"):
        TaskVector.mean([])

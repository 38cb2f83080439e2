from importlib import import_module
from typing import Any

import numpy as np
import pandas
import pytest
import torch

from icl_vectors.models.load import Model

icl: Any = import_module("icl_vectors")  # as it is for callers without a type checker
PAIRS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima"}
QUERIES = ["Spain", "Italy"]


@pytest.fixture(scope="module")
def theta(llama: Model) -> Any:
    return icl.extract(llama, PAIRS, ["Kenya", "Cuba"])


@pytest.mark.parametrize(
    "layer", [np.int64(2), np.argmax([0, 1, 3]), np.array(2), torch.tensor(2), np.array([2])]
)
def test_a_layer_from_numpy_or_torch(llama: Model, theta: Any, layer: Any) -> None:
    expected = icl.apply(llama, theta, QUERIES, layer=2)
    assert icl.apply(llama, theta, QUERIES, layer=layer) == expected
    assert theta.only(np.array([2])).vectors.equal(theta.at(np.int64(2))[None])


@pytest.mark.parametrize(
    "queries",
    [
        pandas.Series(QUERIES),
        pandas.Index(QUERIES),
        dict.fromkeys(QUERIES).keys(),
        np.array(QUERIES),
        (query for query in QUERIES),
    ],
)
def test_any_iterable_of_texts_are_queries(llama: Model, theta: Any, queries: Any) -> None:
    expected = icl.apply(llama, theta, QUERIES, layer=2)
    assert icl.apply(llama, theta, queries, layer=2) == expected


def test_any_iterable_of_texts_are_dummies(llama: Model, theta: Any) -> None:
    for dummies in (pandas.Series(["Kenya", "Cuba"]), iter(["Kenya", "Cuba"])):
        assert icl.extract(llama, PAIRS, dummies).vectors.equal(theta.vectors)


def test_scales_and_factors_of_numpy_are_those_of_python(llama: Model, theta: Any) -> None:
    expected = icl.apply(llama, theta, QUERIES, layer=2, scale=1.5)
    assert icl.apply(llama, theta, QUERIES, layer=2, scale=np.float32(1.5)) == expected
    for product in (theta * np.float32(1.5), np.float32(1.5) * theta, np.float64(1.5) * theta):
        assert product.vectors.equal((theta * 1.5).vectors)


def test_layers_of_a_list_are_those_of_a_text(llama: Model) -> None:
    for layers in ([1, 2], np.array([1, 2]), range(1, 3)):
        assert icl.extract(llama, PAIRS, layers=layers).layers == (1, 2)


def test_a_sweep_takes_and_gives_numbers_that_fit_each_other(llama: Model, tmp_path: Any) -> None:
    found = icl.sweep(
        llama,
        iter(["to_upper"]),
        output=tmp_path / "run",
        dev=np.int64(2),
        test=np.int64(2),
        layers=np.array([1, 2]),
        seeds=np.array([41]),
    )
    frame = found.to_pandas()
    assert str(frame["layer"].dtype) == "Int64"
    swept = frame[frame["method"] == "hypothesis"]
    assert set(swept["layer"]) == {1, 2}
    (theta,) = found.vectors.values()
    layer = swept[swept["split"] == "test"]["layer"].iloc[0]
    assert icl.apply(llama, theta, "a", layer=layer) == icl.apply(llama, theta, "a")

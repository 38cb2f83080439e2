"""A method in a user's own file: registered, compared, extracted and applied."""

import runpy
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from torch.testing import assert_close

import icl_vectors as icl
from icl_vectors.methods import registry
from icl_vectors.methods.state import STATE

FILE = Path(__file__).parents[2] / "experiments" / "examples" / "own_method.py"


@pytest.fixture
def first_dummy() -> Any:
    return runpy.run_path(str(FILE))["FIRST_DUMMY"]


def test_it_is_compared_like_any_other(llama: icl.Model, first_dummy: icl.Method) -> None:
    asked: dict[str, Any] = {"dev": 3, "test": 4, "controls": "random"}
    data = icl.compare(llama, ["to_upper"], "state,first-dummy", **asked).data
    methods = [one["method"] for one in data["compare"]]
    assert methods[2:] == ["state", "state:random", "first-dummy", "first-dummy:random"]
    one_dummy = icl.compare(llama, ["to_upper"], "state,first-dummy", dummies=1, **asked).data
    state, own = (one for one in one_dummy["compare"] if one["method"] in ("state", "first-dummy"))
    differing = {"method", "seconds"}
    assert {k: v for k, v in state.items() if k not in differing} == {
        k: v for k, v in own.items() if k not in differing
    }  # with one dummy the two are the same


def test_its_vectors_are_applied(llama: icl.Model, first_dummy: icl.Method, tmp_path: Path) -> None:
    demos, dummies = icl.load_task("to_upper").pairs[:3], ["x", "y"]
    pairs = {pair[0]: pair[1][0] for pair in demos}
    own = icl.extract(llama, pairs, dummies, method="first-dummy")
    assert_close(own.vectors, icl.extract(llama, pairs, dummies[:1]).vectors, rtol=1e-5, atol=1e-5)
    own.save(tmp_path / "own.safetensors")
    again = icl.TaskVector.load(tmp_path / "own.safetensors")
    assert icl.apply(llama, again, ["z"], layer=2) == icl.apply(llama, own, ["z"], layer=2)


def test_a_vector_of_a_method_that_is_not_registered_is_not_applied(llama: icl.Model) -> None:
    theta = icl.extract(llama, {"a": "A", "b": "B"}, ["c"])
    with pytest.raises(icl.IclVectorsError, match="unknown method 'gone'"):
        icl.apply(llama, replace(theta, method="gone"), ["z"], layer=2)


def test_a_package_adds_methods_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("of-a-plug-in", "tests.methods.test_own_method:PLUG_IN", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    registry._load_plug_ins.cache_clear()
    try:
        assert registry.find_method("of-a-plug-in") is PLUG_IN
        assert registry.parse_methods("all")[-1] is PLUG_IN
    finally:
        monkeypatch.undo()
        registry._load_plug_ins.cache_clear()


PLUG_IN = replace(STATE, name="of-a-plug-in")


@pytest.mark.parametrize("name", ["state", "a b", "", "a:b"])
def test_names_that_are_taken_or_none_are_refused(name: str) -> None:
    with pytest.raises(icl.IclVectorsError, match="expected a new name"):
        icl.register_method(replace(STATE, name=name))

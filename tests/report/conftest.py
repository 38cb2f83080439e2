"""Run folders for the tests of the report."""

from pathlib import Path

import pytest

import icl_vectors as icl
from icl_vectors.models.load import Model
from icl_vectors.report import write
from tests.report import folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run with every experiment."""
    return folders.write_folder(tmp_path / "run", folders.results())


@pytest.fixture
def other_folder(tmp_path: Path) -> Path:
    """A finished run of another model, with more blocks."""
    name = "org/larger-model"
    return folders.write_folder(
        tmp_path / "larger",
        folders.results(name, n_layers=32, peak=14),
        folders.about(name, n_layers=32, fingerprint="ffff"),
    )


@pytest.fixture(scope="session")
def page_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two finished runs."""
    place = tmp_path_factory.mktemp("two")
    first = folders.write_folder(place / "a", folders.results())
    second = folders.write_folder(
        place / "b", folders.results("org/larger", 32, 14), folders.about("org/larger", 32, "ffff")
    )
    return write.write_report([first, second])


@pytest.fixture(scope="session")
def own_page(tmp_path_factory: pytest.TempPathFactory, llama: Model) -> Path:
    """The report of a real sweep on two tasks of one's own."""
    letters = "abcdefghijklmnop"
    upper = icl.Task.from_pairs("upper", {letter: letter.upper() for letter in letters})
    twice = icl.Task.from_pairs("twice", {letter: letter * 2 for letter in letters})
    folder = tmp_path_factory.mktemp("own") / "run"
    icl.sweep(llama, [upper, twice], dev=6, test=8, shots=2, output=folder)
    return write.write_report([folder])

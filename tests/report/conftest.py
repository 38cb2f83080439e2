"""Run folders for the tests of the report."""

from pathlib import Path

import pytest

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
    from icl_vectors.report.write import write_report

    place = tmp_path_factory.mktemp("two")
    first = folders.write_folder(place / "a", folders.results())
    second = folders.write_folder(
        place / "b", folders.results("org/larger", 32, 14), folders.about("org/larger", 32, "ffff")
    )
    return write_report([first, second])

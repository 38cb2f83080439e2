import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ICL_VECTORS_CACHE", str(folder))
    return folder


@pytest.fixture
def converted(cache: Path) -> Path:
    folder = cache / "gemma-3-270m"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b" " * 1_000_000)
    (folder / "model.safetensors").write_bytes(b" " * 2_000_000)
    return folder


@pytest.mark.usefixtures("cache")
def test_embedded_models_are_listed_with_weights_and_terms(command: Command) -> None:
    code, out, err = command("models")
    assert (code, err) == (0, "")
    assert "gemma-3-270m: dequantised from 4-bit Q4_K_M; Gemma Terms of Use" in out
    assert "smollm2-135m: dequantised from 4-bit Q4_1" in out and "Apache-2.0" in out
    assert "converted copy" not in out


def test_a_converted_copy_is_shown_with_place_and_size_and_can_be_removed(
    command: Command, converted: Path
) -> None:
    assert f"converted copy: {converted}  3 MB" in command("models").out
    listed = {one["name"]: one for one in json.loads(command("models", "--json").out)}
    assert listed["gemma-3-270m"]["bytes"] == 3_000_000
    assert listed["gemma-3-270m"]["folder"] == str(converted)
    assert listed["smollm2-135m"]["folder"] is None
    assert (
        command("models", "--remove", "gemma-3-270m").out == "removed gemma-3-270m: 3 MB freed.\n"
    )
    assert not converted.exists()
    assert command("models", "--remove", "gemma-3-270m").code == 2

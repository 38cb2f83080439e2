import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.supply.build import build

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clones at paths of other lengths; all that is committed, and nothing else."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout of git")
    places = [
        tmp_path_factory.mktemp("a") / "c",
        tmp_path_factory.mktemp("b") / "with a longer name",
    ]
    for place in places:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    (places[1] / "icl_vectors" / "stray.py").write_text("")
    for file in places[1].rglob("*.py"):
        os.utime(file, (1e9, 1e9))
    return places


def test_two_checkouts_give_the_same_bytes(checkouts: list[Path], tmp_path: Path) -> None:
    ours = build(checkouts[0], tmp_path / "one")
    mask = os.umask(0o077)
    try:
        theirs = build(checkouts[1], tmp_path / "other")
    finally:
        os.umask(mask)
    assert [file.name for file in ours] == [file.name for file in theirs]
    assert [file.read_bytes() for file in ours] == [file.read_bytes() for file in theirs]
    with tarfile.open(ours[0]) as sdist, zipfile.ZipFile(ours[1]) as wheel:
        names = wheel.namelist()
        assert not any("stray" in name for name in [*names, *sdist.getnames()])
        assert {name.split("/")[0] for name in names} == {
            "icl_vectors",
            f"{ours[1].name.split('-py3')[0]}.dist-info",
        }
        assert "icl_vectors/cli/main.py" in names and "icl_vectors/py.typed" in names

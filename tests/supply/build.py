"""Wheel and sdist of a commit, the same bytes whenever and wherever they are built.

    python -m tests.supply.build --output dist          # of HEAD; prints SHA-256 sums

Built from `git archive`, so that nothing that lies about gets in; times are that of the commit,
modes and owners are fixed. The version of setuptools stands in the wheel, so it counts too.
"""

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SDIST = "from setuptools import build_meta; build_meta.build_sdist({!r})"
WHEEL = "from setuptools import build_meta; build_meta.build_wheel({!r})"


def build(checkout: Path, output: Path, commit: str = "HEAD") -> list[Path]:
    """Build a commit of a checkout; returns the sdist and the wheel, which is built from it."""
    git = ["git", "-C", str(checkout)]
    time = int(subprocess.check_output([*git, "log", "-1", "--format=%ct", commit]))
    archive = subprocess.check_output([*git, "archive", commit])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        source, built = Path(place) / "source", Path(place) / "built"
        _unpack(archive, source)
        _call_backend(SDIST, source, built, time)
        [sdist] = built.glob("*.tar.gz")
        content = _normal(sdist.read_bytes(), time)
        (output / sdist.name).write_bytes(content)
        _unpack(content, Path(place) / "unpacked")
        [inside] = (Path(place) / "unpacked").iterdir()
        _call_backend(WHEEL, inside, built, time)
        [wheel] = built.glob("*.whl")
        (output / wheel.name).write_bytes(wheel.read_bytes())
    return [output / sdist.name, output / wheel.name]


def _unpack(content: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        tar.extractall(folder, filter="data")
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():  # whatever the umask made of them
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _call_backend(program: str, source: Path, built: Path, time: int) -> None:
    built.mkdir(exist_ok=True)
    command = [sys.executable, "-c", program.format(str(built))]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
    done = subprocess.run(
        command, cwd=source, env=environment, umask=0o022, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)


def _normal(sdist: bytes, time: int) -> bytes:
    """An sdist with its members in order, at one time, of no owner; setuptools has no such way."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(sdist)) as old,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            member.mtime, member.pax_headers = time, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    return gzip.compress(packed.getvalue(), mtime=time)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("dist"))
    for file in build(Path(__file__).resolve().parents[2], parser.parse_args().output):
        print(hashlib.sha256(file.read_bytes()).hexdigest(), file.name)


if __name__ == "__main__":
    main()

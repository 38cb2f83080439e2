"""A hub that does not answer: real commands, with the hub's address on this machine."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HELD = "lab/tiny"
COMMAND = [sys.executable, "-m", "icl_vectors"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Path:
    """A hub cache that holds one model, as a download would have left it."""
    place = tmp_path_factory.mktemp("hub")
    repository = place / f"models--{HELD.replace('/', '--')}"
    shutil.copytree(llama_folder, repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    return place


@pytest.fixture(params=["refused", "silent"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """An address that refuses, or one that takes a connection and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if request.param == "silent":
            server.listen(8)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def run(cache: Path, endpoint: str | None, *arguments: str) -> tuple[int, str, str, float]:
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    kept |= {"HF_ENDPOINT": endpoint} if endpoint else {"HF_HUB_OFFLINE": "1"}
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, *arguments],
        env={**kept, "HF_HUB_CACHE": str(cache)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


def test_a_hub_that_does_not_answer_is_told_in_ten_seconds(cache: Path, endpoint: str) -> None:
    *_, of_help = run(cache, endpoint, "check", "--help")
    code, out, err, took = run(cache, endpoint, "check", "--model", "lab/other")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert f"found no answer from {endpoint}" in err and f"in the cache {HELD};" in err
    assert took - of_help < 10, (took, of_help)  # importing torch and transformers included


def test_what_is_in_the_cache_is_used_then(cache: Path, endpoint: str) -> None:
    code, out, err, _ = run(cache, endpoint, "check", "--model", HELD)
    assert code == 0 and "Retrying" not in err, err


def test_where_the_user_is_offline_nothing_is_asked(cache: Path) -> None:
    code, _, err, _ = run(cache, None, "check", "--model", "lab/other")
    assert code == 2 and "found HF_HUB_OFFLINE set" in err and err.count("\n") == 1
    assert run(cache, None, "check", "--model", HELD)[0] == 0

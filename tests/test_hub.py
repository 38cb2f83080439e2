"""A hub that does not answer: real commands, with the hub's address on this machine."""

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HELD = "lab/tiny"
PROGRAM = """
    import contextlib, io, json, sys, time
    import torch, transformers, icl_vectors.engine.check
    from icl_vectors.cli.main import run

    found = []
    for model in sys.argv[1:]:
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(said):
            begun = time.monotonic()
            code = run(["check", "--model", model, "--quiet"])
        found.append([code, said.getvalue(), time.monotonic() - begun])
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Path:
    """A hub cache that holds one model, as a download would have left it."""
    place = tmp_path_factory.mktemp("hub")
    repository = place / f"models--{HELD.replace('/', '--')}"
    shutil.copytree(llama_folder, repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    return place


def run(cache: Path, endpoint: str | None, *models: str) -> list[tuple[int, str, float]]:
    """`check` of each model, in one process: its exit code, stderr, and seconds without imports."""
    kept = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    kept |= {"HF_ENDPOINT": endpoint} if endpoint else {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *models],
        env={**kept, "HF_HUB_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[tuple[int, str, float]] = json.loads(done.stdout)
    return found


def require_told(found: tuple[int, str, float], endpoint: str) -> None:
    code, err, took = found
    assert code == 2 and err.count("\n") == 1
    assert f"found no answer from {endpoint}" in err and f"in the cache {HELD};" in err
    assert took < 10


def test_a_hub_that_refuses_is_told_and_what_is_in_the_cache_is_used(cache: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        refused, used = run(cache, endpoint, "lab/other", HELD)
    require_told(refused, endpoint)
    assert used[0] == 0


def test_a_hub_that_is_silent_is_waited_for_once(cache: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)  # it takes a connection and never answers
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        used, refused = run(cache, endpoint, HELD, "lab/other")
    assert used[0] == 0 and "Retrying" not in used[1], used[1]
    require_told(refused, endpoint)


def test_where_the_user_is_offline_nothing_is_asked(cache: Path) -> None:
    refused, used = run(cache, None, "lab/other", HELD)
    assert refused[0] == 2 and "found HF_HUB_OFFLINE set" in refused[1]
    assert refused[1].count("\n") == 1 and used[0] == 0

"""The real NDIF server on loopback, for the tests in this folder (marked `remote`)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nnsight
import pytest
from nnsight.schema.request import RequestModel

from icl_vectors.models.load import Model, load_model
from tests.ndif.install import wait_for
from tests.ndif.server import NdifServer

HOW = "expected NDIF_VENV, the server's environment: python -m tests.ndif.install FOLDER"
HUB_ID = "meta-llama/Llama-2-70b-hf"  # of the tiny Llama, in a hub cache of the tests' own
COMMIT = "0" * 40
Client = Callable[..., "subprocess.Popen[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.remote)


@pytest.fixture(scope="session")
def environment() -> Path:
    folder = os.environ.get("NDIF_VENV")
    if not folder:
        pytest.skip(HOW)
    wait_for(Path(folder))
    return Path(folder)


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Path:
    """A Hugging Face cache that holds one model, as a download would have left it."""
    cache = tmp_path_factory.mktemp("hub")
    repository = cache / f"models--{HUB_ID.replace('/', '--')}"
    shutil.copytree(llama_folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return cache


@pytest.fixture(scope="session")
def ndif(environment: Path, hub_cache: Path, reachable: set[Any]) -> Iterator[NdifServer]:
    """The server, started once; a test that stops it starts it again."""
    reachable |= NdifServer.addresses
    folder = Path(tempfile.mkdtemp(prefix="ndif-"))
    with NdifServer(environment, folder, {"HF_HUB_CACHE": str(hub_cache)}) as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def remote_llama(ndif: NdifServer, llama_folder: Path) -> Model:
    """The tiny Llama of `llama`, on the server."""
    return load_model(str(llama_folder), remote=ndif.host)


@pytest.fixture(params=["trusted", "sandbox"])
def trust(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Jobs run in the server's own process, or, as those of ordinary users, in a sandbox."""
    as_it_is = RequestModel.metadata

    def metadata(self: RequestModel) -> str:
        return json.dumps({**json.loads(as_it_is(self)), "trusted": False})

    if request.param == "sandbox":
        monkeypatch.setattr(RequestModel, "metadata", metadata)
    return str(request.param)


@pytest.fixture
def client(hub_cache: Path, tmp_path: Path) -> Iterator[Client]:
    """Starts `icl-vectors` with arguments in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **variables: str) -> "subprocess.Popen[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NDIF_")}
        offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(hub_cache)}
        process = subprocess.Popen(
            [sys.executable, "-c", "from icl_vectors.cli.main import main; main()"]
            + [str(argument) for argument in arguments],
            env={**kept, **offline, "OMP_NUM_THREADS": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own key is not used."""
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", None)

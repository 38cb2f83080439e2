"""What all tests share: no network, tiny models, and what one worker keeps to itself."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from icl_vectors.methods.registry import METHODS
from icl_vectors.models.load import Model, load_model
from tests.benchmarks.random_model import build_tokenizer
from tests.families import random_of_family
from tests.report.parts import draw_once
from tests.tiny import (
    FAMILIES,
    N_TOKENS,
    Tiny,
    bytes_tokenizer,
    load_plain,
    random_model,
    save_model,
)

KILLS = "tests/reliability/test_programs.py"
TOGETHER = {"/remote/": "server", "test_embedded.py": "Gemma", "test_examples.py": "Gemma"}
FAST = frozenset(  # files of a few seconds at the most, together under a minute
    """answers batches checkpoint checkpoints checks claims control_vectors cost embedded_cache
    encoding errors extraction extraction_of_methods failures files fonts generated geometry given
    layers main measures memory models other_programs_files parts passes procedures_agree prompts
    proxies read recovery remote_answers run_folder scoring sharing statistics stopping table
    tables task_data tasks templates vector_arithmetic vectors work
    wrong_types""".split()
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`, a file stays on one worker, and so do those that share a server or Gemma."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    config.option.loadscopereorder = False  # keeps the order below
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = scope_of
    return scheduler


def scope_of(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    if file == KILLS:
        return nodeid
    return next((group for name, group in TOGETHER.items() if name in file), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the fast ones; the longest come first, so that no worker is left with them at last."""
    for item in items:
        if item.path.stem.removeprefix("test_") in FAST:
            item.add_marker(pytest.mark.fast)

    def place(item: pytest.Item) -> int:
        return next((i for i, one in enumerate((KILLS, *TOGETHER)) if one in item.nodeid), 9)

    items.sort(key=place)


@pytest.fixture(scope="session")
def reachable() -> set[Any]:
    """Addresses of servers that the tests themselves started, which may be reached."""
    return set()


@pytest.fixture(scope="session", autouse=True)
def attempts(reachable: set[Any]) -> Iterator[list[Any]]:
    """Addresses that something tried to reach; all but sockets of this machine are refused."""
    tried: list[Any] = []

    def guarded(connect: Any) -> Any:
        def guard(self: Any, address: Any, *rest: Any) -> Any:
            if address in reachable or self.family == getattr(socket, "AF_UNIX", None):
                return connect(self, address, *rest)
            tried.append(address)
            raise ConnectionRefusedError(f"a test tried to reach {address!r}")

        return guard

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        yield tried


@pytest.fixture(autouse=True)
def no_network(attempts: list[Any]) -> Iterator[None]:
    """Fails a test that tried to reach anything, also where the refusal was swallowed."""
    attempts.clear()
    yield
    assert not attempts


@pytest.fixture(autouse=True)
def own_methods() -> Iterator[None]:
    """Takes back the methods that a test registered: others compare all of them."""
    with patch.dict(METHODS):
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[int]:
    """For the whole session: threads make tiny models slower, and round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield 1 if "PYTEST_XDIST_WORKER" in os.environ else threads
    torch.set_num_threads(threads)


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at no figure."""
    draw_once(monkeypatch)


@pytest.fixture(scope="session", params=FAMILIES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A tiny model of each family, with a tokenizer of whole words."""
    family = str(request.param)
    tokenizer = build_tokenizer(N_TOKENS)
    folder = save_model(tmp_path_factory.mktemp(family), random_model(family), tokenizer)
    return Tiny(family, folder, load_model(str(folder)), load_plain(folder), tokenizer)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a byte-level tokenizer, which reads any text."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    return save_model(folder, random_model("llama"), bytes_tokenizer())


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> Model:
    """The model of `llama_folder`, opened."""
    return load_model(str(llama_folder))


@pytest.fixture(scope="session")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of width 64, of which bitsandbytes takes multiples."""
    folder = tmp_path_factory.mktemp("models") / "wide-llama"
    return save_model(folder, random_of_family("llama", hidden_size=64), bytes_tokenizer())

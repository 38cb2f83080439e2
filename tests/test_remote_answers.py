import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard

from icl_vectors.errors import RunError
from icl_vectors.remote.backend import PatientBackend
from icl_vectors.remote.job import Job, JobCost, Patience


class Away:
    """As much of a model as a backend asks for."""

    def to_model_key(self) -> str:
        return "any"

    def _remoteable_get_env(self) -> dict[str, Any]:
        return {}


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def packed(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return zstandard.compress(stream.getvalue())


@pytest.fixture
def dismissed() -> list[bool]:
    return []


@pytest.fixture
def backend(dismissed: list[bool]) -> PatientBackend:
    job = Job(known=JobCost("1"), dismissed=lambda: dismissed.append(True))
    return PatientBackend(Away(), "http://127.0.0.1:5001", job)


def test_tensors_and_plain_values_are_read(backend: PatientBackend) -> None:
    found = backend.finalize(packed({"found": {"theta": torch.ones(2), "best": 3}}))
    assert found["found"]["best"] == 3 and found["found"]["theta"].tolist() == [1, 1]


def test_an_answer_that_would_run_code_is_refused(
    backend: PatientBackend, dismissed: list[bool], tmp_path: Path
) -> None:
    file = tmp_path / "made"
    with pytest.raises(RunError, match="no set of tensors"):
        backend.finalize(packed({"found": Hostile(file)}))
    assert not file.exists() and dismissed


@pytest.mark.parametrize("damage", ["cut", "not compressed", "empty"])
def test_damage_is_refused(backend: PatientBackend, dismissed: list[bool], damage: str) -> None:
    whole = packed({"found": torch.ones(100)})
    content = {"cut": whole[: len(whole) // 2], "not compressed": b"<html>", "empty": b""}[damage]
    with pytest.raises(RunError, match="answered job 1 with something that is no set of tensors"):
        backend.finalize(content)
    assert dismissed


class Restarting(BaseHTTPRequestHandler):
    """A server that is away, is back and knows of no job yet, and then tells of it."""

    asked = 0
    AWAY, UNKNOWING = 6, 2  # requests

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.asked <= self.AWAY:
            self.close_connection = True  # without an answer
            return
        known = self.asked > self.AWAY + self.UNKNOWING
        state = {"id": "1", "status": "ERROR", "description": "IndexError: 5", "data": None}
        content = json.dumps(state).encode() if known else b"{}"
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def restarting(reachable: set[Any]) -> Iterator[str]:
    Restarting.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Restarting) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        reachable.add(server.server_address)
        yield f"http://127.0.0.1:{server.server_address[1]}"
        reachable.discard(server.server_address)
        server.shutdown()


def test_the_time_that_a_server_is_away_is_no_loss_of_the_job(restarting: str) -> None:
    told: list[str] = []
    patience = Patience(longest_pause=0.5, unknown=1.5)  # away for about 2 s
    job = Job(known=JobCost("1", bytes_up=1), tell=told.append, patience=patience)
    with pytest.raises(RunError, match="the job failed on .*: IndexError: 5"):
        PatientBackend(Away(), restarting, job)()
    assert told == ["the server can't be reached; trying again"] * Restarting.AWAY

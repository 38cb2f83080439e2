import json
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import nnsight
import pytest

import icl_vectors as icl
from icl_vectors.engine import jobs
from icl_vectors.remote import server
from icl_vectors.remote.job import Job, Patience
from tests.cli.conftest import Command

KEY = "MARKED-8c1f-4c4e-key"
Answer = tuple[int, str]


class BadServer(BaseHTTPRequestHandler):
    """Answers as an NDIF server does, but for the paths that a test gives other answers."""

    answers: dict[str, Answer | None] = {}
    folder = ""

    def do_GET(self) -> None:
        name = self.path.strip("/").split("/")[0].split("?")[0]
        answer = self.answers.get(name, self.good().get(name, (404, "{}")))
        if answer is None:  # the connection ends without an answer
            self.close_connection = True
            return
        status, text = answer
        content = text.replace("KEY", self.headers.get("ndif-api-key") or KEY).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def good(self) -> dict[str, Answer]:
        hosted = {"repo_id": self.folder, "deployment_level": "HOT", "dtype": "torch.float32"}
        return {
            "ping": (200, '"pong"'),
            "connected": (200, "{}"),
            "env": (200, json.dumps({"packages": {"nnsight": nnsight.__version__}})),
            "whoami": (200, json.dumps({"email": "a@b"})),
            "status": (200, json.dumps({"deployments": {"x": hosted}})),
            "request": (200, job("RECEIVED", "")),
            "response": (200, job("ERROR", "KeyError: 'KEY'")),
        }

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def job(status: str, description: str) -> str:
    return json.dumps({"id": "1", "status": status, "description": description, "data": None})


@pytest.fixture
def host(reachable: set[Any], llama_folder: Path) -> Iterator[str]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), BadServer)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    reachable.add(listening.server_address)
    BadServer.folder = str(llama_folder.resolve())
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()
    thread.join()
    reachable.discard(listening.server_address)
    BadServer.answers = {}


FAILURES: dict[str, dict[str, Answer | None]] = {
    "a job that fails and repeats the key": {},
    "a job that fails with a long traceback": {
        "response": (200, job("ERROR", "Traceback\n  KEY\nRuntimeError: " + "x" * 500 + "KEY"))
    },
    "memory that runs out": {"response": (200, job("ERROR", "CUDA out of memory for KEY"))},
    "a job that is given up": {"response": (200, job("ERROR", "KEY: cancelled or preempted"))},
    "a job that nobody knows": {"response": (404, "KEY")},
    "a state that is none": {"response": (200, "KEY")},
    "an answer elsewhere that is broken": {"response": (200, job("COMPLETED", "KEY"))},
    "a refused key": {"request": (401, '{"detail": "invalid api key KEY"}')},
    "a malformed key": {"request": (400, '{"detail": "API key KEY is malformed"}')},
    "a forbidden model": {"request": (403, '{"detail": "KEY may not"}')},
    "a job that is refused": {"request": (422, '{"detail": "KEY: no such model"}')},
    "a server that fails": {"request": (500, "KEY")},
    "a server that hangs up": {"request": None},
    "a server that fails at once": {"ping": (500, "KEY")},
    "a server that is none": {"ping": (200, '"KEY"')},
    "a page for a server": {"ping": (200, "<html>KEY</html>")},
    "no models": {"connected": (503, "KEY")},
    "versions that are none": {"env": (200, "KEY")},
    "another version": {"env": (200, json.dumps({"packages": {"nnsight": "0.1.KEY"}}))},
    "a list that is none": {"status": (200, "KEY")},
    "a silent server": {"status": None},
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_key_is_in_no_file_log_or_error(
    command: Command,
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", KEY)
    monkeypatch.setenv("NDIF_API_KEY", KEY)
    hasty = Patience(longest_pause=0.05, unreachable=0.3, unknown=0.3, silent=0.5, submissions=2)
    monkeypatch.setattr(jobs, "Job", partial(Job, patience=hasty))
    BadServer.answers = FAILURES[name]
    caplog.set_level(logging.DEBUG)
    options = ["--tasks", "to_upper", "--dev", 2, "--test", 2, "--output", "run", "--host", host]
    code, out, err = command("sweep", "--model", command.model.resolve(), *options)
    assert code in (1, 2) and out == "", err
    assert "error: " in err and "Traceback" not in err
    assert KEY not in err
    assert KEY not in caplog.text
    files = [file for file in command.place.rglob("*") if file.is_file()]
    assert not any(KEY.encode() in file.read_bytes() for file in files)


@pytest.mark.parametrize("in_flight", [1, 2])
def test_a_job_that_is_sent_again_is_waited_for_again(
    command: Command, host: str, monkeypatch: pytest.MonkeyPatch, in_flight: int
) -> None:
    asked: list[str] = []
    as_it_is: Callable[[BadServer], None] = BadServer.do_GET

    def watched(self: BadServer) -> None:
        asked.append(self.path.split("/")[1])
        as_it_is(self)

    monkeypatch.setattr(BadServer, "do_GET", watched)  # which answers POST too
    patience = Patience(longest_pause=0.1, unknown=1.0, submissions=2)
    monkeypatch.setattr(jobs, "Job", partial(Job, patience=patience))
    BadServer.answers = {"response": (404, "")}
    options = ["--tasks", "to_upper", "--dev", 2, "--test", 2, "--in-flight", in_flight]
    code, _, err = command("sweep", "--model", command.model.resolve(), "--host", host, *options)
    assert code == 1 and "lost or dropped a job 2 times" in err
    _, first, second = " ".join(asked).split("request")
    assert min(first.count("response"), second.count("response")) > 2
    assert err.count("knows nothing of the job; sending it again") == 2


def test_the_server_gets_the_key(
    command: Command, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", KEY)
    seen: list[str | None] = []
    as_it_is: Callable[[BadServer], None] = BadServer.do_GET

    def watched(self: BadServer) -> None:
        seen.append(self.headers.get("ndif-api-key"))
        as_it_is(self)

    monkeypatch.setattr(BadServer, "do_GET", watched)
    assert command("models", "--host", host).code == 0
    assert set(seen) == {KEY}


def test_a_silent_server_is_left(
    command: Command, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(nnsight.CONFIG.API, "APIKEY", KEY)
    monkeypatch.setattr(server, "SECONDS", 0.2)
    monkeypatch.setattr(BadServer, "do_GET", lambda self: stuck.wait(5))
    code, _, err = command("models", "--host", host)
    stuck.set()
    assert code == 2 and "found none that answers (ReadTimeout)" in err and KEY not in err


def test_an_address_that_holds_a_key_is_refused_and_not_shown(command: Command) -> None:
    for address in (f"http://{KEY}@127.0.0.1:9", f"http://127.0.0.1:9/?key={KEY}"):
        code, _, err = command("models", "--host", address)
        assert code == 2 and "a key belongs into the variable NDIF_API_KEY" in err
        assert KEY not in err


@pytest.fixture(scope="module")
def swept(llama: icl.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "run"
    icl.sweep(llama, "to_upper", dev=2, test=2, output=folder)
    return folder


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_token_of_the_hub_is_not_repeated(
    command: Command, host: str, swept: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    BadServer.answers = {"api": (status, json.dumps({"error": f"token {KEY}: no"}))}
    monkeypatch.setenv("HF_TOKEN", KEY)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", host)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    code, out, err = command("share", swept, "-o", "new", "--push", "someone/x")
    assert code == 1 and KEY not in out + err, err
    assert err.startswith("error: push to someone/x: refused (")
    files = [file for file in command.place.rglob("*") if file.is_file()]
    assert files and not any(KEY.encode() in file.read_bytes() for file in files)

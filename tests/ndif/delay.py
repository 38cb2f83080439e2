"""A proxy before an NDIF server that holds every job back in its queue for some seconds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic
from typing import Any

import httpx

DROPPED = {"host", "content-length", "transfer-encoding", "connection", "content-encoding"}


class Delay(ThreadingHTTPServer):
    """Forwards to a server; says of each job that it waits until `seconds` have passed.

    Attributes:
        sent: when each job came, by id; most: how many may wait at once, more are refused (429).
    """

    def __init__(self, server: str, seconds: float, port: int, most: int = 1000) -> None:
        super().__init__(("127.0.0.1", port), Forward)
        self.target, self.seconds, self.most = server, seconds, most
        self.sent: dict[str, float] = {}
        self.refused = 0

    @property
    def waiting(self) -> int:
        return sum(monotonic() - begun < self.seconds for begun in self.sent.values())


class Forward(BaseHTTPRequestHandler):
    """Every request, as it came, to the server behind."""

    server: Delay

    def do_GET(self) -> None:
        self._forward(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/request") and self.server.waiting >= self.server.most:
            self.server.refused += 1
            return self._answer(429, b'{"detail": "too many jobs"}', "application/json")
        self._forward(body)

    def _forward(self, body: bytes) -> None:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in DROPPED}
        url = self.server.target + self.path
        found = httpx.request(self.command, url, content=body, headers=headers, timeout=600)
        content = found.content
        if self.command == "POST" and found.is_success and "id" in found.text:
            self.server.sent[found.json()["id"]] = monotonic()
        elif "/response/" in self.path and found.is_success:
            content = self._held(found.json(), content)
        self._answer(found.status_code, content, found.headers.get("content-type", ""))

    def _held(self, said: Any, content: bytes) -> bytes:
        begun = self.server.sent.get(self.path.rpartition("/")[2], 0.0)
        if monotonic() - begun >= self.server.seconds:
            return content
        waits = {"status": "QUEUED", "description": "Added to Queue at position 1.", "data": None}
        return json.dumps({**said, **waits}).encode()

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *about: Any) -> None:
        """Nothing."""


@contextmanager
def delayed(server: str, seconds: float, port: int, most: int = 1000) -> Iterator[Delay]:
    """The proxy, while it runs."""
    proxy = Delay(server, seconds, port, most)
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()

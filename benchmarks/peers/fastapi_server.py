"""The FastAPI peer as a process, and what calls it: a bare HTTP client that keeps its connections."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psutil

from benchmarks.cpu import ONE_THREAD
from earshot.local import replicas
from earshot.local.ports import free_ports

BOUNDARY = "a-boundary-that-is-in-no-clip"
RAW = ("/raw", "application/octet-stream")
MULTIPART = ("/multipart", f"multipart/form-data; boundary={BOUNDARY}")
_READY_WITHIN = 120.0  # seconds


@contextlib.contextmanager
def running(engine: str = "", model: str = "", workers: int = 1) -> Iterator[tuple[psutil.Process, int]]:
    """The server's first process and its port, once it answers."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.fastapi_app:app", "--port", str(port)]
    command += ["--workers", str(workers), "--no-access-log", "--log-level", "warning"]
    environment = (
        os.environ | replicas.ENVIRONMENT | ONE_THREAD | {"PEER_ENGINE": engine, "PEER_MODEL": model}
    )
    with subprocess.Popen(command, env=environment) as process:
        try:
            _wait(port, process)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _READY_WITHIN
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    sys.exit("the FastAPI peer did not become ready")


def form(content: bytes) -> bytes:
    """A clip as a form, with one field beside it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n'
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.raw"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class Load:
    """Posts of the same bodies, over and over."""

    port: int
    how: tuple[str, str]  # path and content type
    bodies: Sequence[bytes]
    expected: Sequence[str]  # words

    def run(self, count: int, at_a_time: int) -> int:
        """So many; raises AssertionError for a status other than 200 or for other words."""
        numbers, guard = itertools.count(), threading.Lock()

        def caller(_: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
            while True:
                with guard:
                    number = next(numbers)
                if number >= count:
                    return connection.close()
                self._post(connection, number % len(self.bodies))

        with ThreadPoolExecutor(at_a_time) as pool:
            list(pool.map(caller, range(at_a_time)))
        return count

    def _post(self, connection: http.client.HTTPConnection, at: int) -> None:
        path, kind = self.how
        connection.request("POST", path, self.bodies[at], {"Content-Type": kind})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, "the peer refused"
        assert json.loads(content)["text"] == self.expected[at], "other words than the engine's own"

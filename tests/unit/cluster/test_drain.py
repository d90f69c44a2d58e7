"""The helper beside Envoy: its two POSTs, in order, at the signal to stop."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from earshot.cluster import drain


@contextmanager
def _admin(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """An Envoy's admin that answers with these; gives its address and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(statuses[min(len(asked), len(statuses)) - 1])
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_not_ready_first_and_then_the_drain() -> None:
    with _admin(200) as (address, asked):
        drain.drain(address)
    assert asked == ["/healthcheck/fail", "/drain_listeners?graceful"]


def test_a_refusal_is_tried_again() -> None:
    with _admin(503, 200) as (address, asked):
        drain.drain(address)
    assert asked == ["/healthcheck/fail", "/healthcheck/fail", "/drain_listeners?graceful"]


def test_an_envoy_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(OSError, match=f"Envoy's admin at {address}: POST /healthcheck/fail"):
        drain.drain(address)


def test_the_process_waits_for_the_signal() -> None:
    with _admin(200) as (address, asked):
        script = f"from earshot.cluster import drain; drain.drain.__defaults__ = ({address!r},); drain.main()"
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1.0)
            assert asked == []
            process.send_signal(signal.SIGTERM)
            printed, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert printed == "Envoy is draining\n"
    assert asked == ["/healthcheck/fail", "/drain_listeners?graceful"]

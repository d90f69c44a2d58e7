"""The whole stack on this machine, for benchmarks to measure: real engines behind the real Envoy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

READY_WITHIN = 120.0  # seconds


@contextmanager
def running(*arguments: str) -> Iterator[tuple[psutil.Process, int, float]]:
    """``earshot up ARGUMENTS``: its first process, its port, and the seconds until it was ready."""
    port = free_port()
    with tempfile.TemporaryDirectory() as state:
        start = time.monotonic()
        command = [sys.executable, "-m", "earshot.cli", "up", "--port", str(port), *arguments]
        environment = os.environ | {"EARSHOT_STATE": state}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                wait_ready(process, start + READY_WITHIN)
                yield psutil.Process(process.pid), port, time.monotonic() - start
            finally:
                process.terminate()


def wait_ready(process: subprocess.Popen[str], deadline: float) -> None:
    """Reads what ``earshot up`` prints until it says that it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready"):
            return
        if time.monotonic() > deadline:
            break
    sys.exit("the stack did not become ready")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])

"""One service by itself on this machine, and how soon its front process answers whatever its workers do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.stack import READY_WITHIN, free_port

_PERIOD: Final = 0.01  # seconds between health checks


@contextmanager
def service(name: str, stalls: Path | None = None, **settings: str | int) -> Iterator[str]:
    """``python -m earshot.NAME`` with these settings, once it is ready: its address.

    ``stalls``: where the stretches of its event loop are written when it ends; see benchmarks.stalls.
    """
    port = free_port()
    environment = os.environ | {
        "EARSHOT_PORT": str(port),
        "EARSHOT_METRICS_PORT": "0",
        "EARSHOT_LOG_LEVEL": "warning",
        "EARSHOT_DRAIN_SECONDS": "0",
        **{f"EARSHOT_{key.upper()}": str(value) for key, value in settings.items()},
    }
    modules = ["benchmarks.stalls", str(stalls)] if stalls else []
    command = [sys.executable, "-m", *modules, f"earshot.{name}"]
    with subprocess.Popen(command, env=environment) as process:
        try:
            _wait_ready(f"127.0.0.1:{port}", process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_ready(target: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    with grpc.insecure_channel(target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        while time.monotonic() < deadline and process.poll() is None:
            try:
                answer = check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True)
            except grpc.RpcError:
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.1)
    sys.exit("the service did not become ready")


@contextmanager
def checked(target: str, seconds: float) -> Iterator[Future[Sequence[float]]]:
    """Health checks from a process of its own for so long: the seconds that each took."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(_checks, target, 0.1).result()  # the process and its connection are there
        yield pool.submit(_checks, target, seconds)


def _checks(target: str, seconds: float) -> Sequence[float]:
    """One every hundredth of a second, none of which waits for the one before it to have been due."""
    took = []
    with grpc.insecure_channel(target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        until = time.monotonic() + seconds
        while (started := time.monotonic()) < until:
            check(health_pb2.HealthCheckRequest(), timeout=60, wait_for_ready=True)
            took.append(time.monotonic() - started)
            time.sleep(max(0.0, _PERIOD - took[-1]))
    return took

"""Real servers on free ports, with real worker processes and fake engines in them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from earshot.classification import __main__ as classification
from earshot.classification.engines.selection import Selection as TextSelection
from earshot.classification.settings import ClassificationSettings
from earshot.gen.v1 import classification_pb2_grpc, speech_pb2_grpc, usage_pb2_grpc
from earshot.local.ports import free_ports
from earshot.runtime import logs
from earshot.stt import __main__ as stt
from earshot.stt.engines.selection import Selection as SpeechSelection
from earshot.stt.settings import SpeechSettings


@dataclass(frozen=True)
class Running:
    """A service that answers."""

    channel: grpc.aio.Channel
    port: int
    metrics_port: int

    @property
    def speech(self) -> Any:
        return speech_pb2_grpc.SpeechToTextStub(self.channel)

    @property
    def texts(self) -> Any:
        return classification_pb2_grpc.ZeroShotClassifierStub(self.channel)

    @property
    def usage(self) -> Any:
        return usage_pb2_grpc.UsageStub(self.channel)

    @property
    def health(self) -> Any:
        return health_pb2_grpc.HealthStub(self.channel)


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def own_ports() -> dict[str, int]:
    """The two of a service, which are never the same."""
    port, metrics_port = free_ports(2)
    return {"port": port, "metrics_port": metrics_port}


Start = Callable[..., AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def _running(
    serving: Any, port: int, metrics_port: int, health_port: int = 0
) -> AsyncIterator[Running]:
    task = asyncio.ensure_future(serving)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{health_port or port}") as channel:
            running = Running(channel, port, metrics_port)
            await _wait_ready(running, task)
            yield running
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _wait_ready(running: Running, task: asyncio.Future[None]) -> None:
    while True:
        if task.done():
            task.result()
        try:
            answer = await running.health.Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.02)
            continue
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            return
        await asyncio.sleep(0.02)


@pytest.fixture
def start_speech() -> Start:
    """Starts a speech-to-text service with a fake engine: ``start_speech("model", **settings)``."""

    @asynccontextmanager
    async def start(model: str = "fake", **settings: Any) -> AsyncIterator[Running]:
        made = SpeechSettings(**{"drain_seconds": 0, "replica": "stt-test", **own_ports(), **settings})
        selection = SpeechSelection("tests.rpc.fakes:load_speech", "fake", model, "the test wants a fake")
        async with _running(
            stt.run(made, selection), made.port, made.metrics_port, made.health_port
        ) as running:
            yield running

    return start


@pytest.fixture
def start_texts() -> Start:
    """Starts a classification service with a fake engine: ``start_texts("model", **settings)``."""

    @asynccontextmanager
    async def start(model: str = "fake", **settings: Any) -> AsyncIterator[Running]:
        made = ClassificationSettings(
            **{"drain_seconds": 0, "replica": "cls-test", **own_ports(), **settings}
        )
        selection = TextSelection("tests.rpc.fakes:load_texts", "fake", model, "the test wants a fake")
        async with _running(classification.run(made, selection), made.port, made.metrics_port) as running:
            yield running

    return start


@pytest.fixture
def logged(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.CaptureFixture[str]]:
    """All that this process and its workers write, at all levels, in the form that a service has."""
    with os.fdopen(1, "w", buffering=1, closefd=False) as output:
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        logs.configure("debug", "test", "test")
        yield capfd
    structlog.reset_defaults()
    logs._bound.clear()
    logs._calls.clear()


def log_lines(logged: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The lines about ``event`` that have been written since the last look."""
    lines = (json.loads(line) for line in logged.readouterr().out.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == event]

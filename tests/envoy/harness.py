"""Envoy as it runs on one machine, with fake replicas behind it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from earshot.gen.v1 import (
    classification_pb2,
    classification_pb2_grpc,
    speech_pb2,
    speech_pb2_grpc,
)
from earshot.local import endpoints
from earshot.local.dataplane import SERVICES
from earshot.local.envoy import Envoy
from earshot.local.ports import free_ports
from earshot.local.processes import Child
from earshot.local.replicas import CLASSIFICATION, STT, Service
from earshot.local.security import Protection, authority, of_replicas, prepare
from earshot.local.state import StateFolder

BACKENDS = Path(__file__).with_name("backends.py")
PATIENCE = 20.0  # seconds for what must happen at all; nothing here is a measurement
CHANNEL = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


def fake(service: Service) -> Service:
    """The service with a fake core."""
    return replace(service, command=(sys.executable, str(BACKENDS), service.name))


@dataclass
class Backend:
    """One fake replica."""

    name: str
    port: int
    child: Child


@dataclass
class Plane:
    """Envoy, and the fake replicas started behind it."""

    state: StateFolder
    envoy: Envoy
    channel: grpc.aio.Channel
    cleanup: AsyncExitStack
    told: dict[str, str] = field(default_factory=dict)  # to replicas, as environment
    listed: dict[str, list[Backend]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.envoy.port}"

    @property
    def speech(self) -> Any:
        return speech_pb2_grpc.SpeechToTextStub(self.channel)

    @property
    def zero_shot(self) -> Any:
        return classification_pb2_grpc.ZeroShotClassifierStub(self.channel)

    async def recognize(self, model: str = "", content: bytes = b"", deadline: float = PATIENCE) -> str:
        """The replica that answered."""
        request = speech_pb2.RecognizeRequest(config={"model": model}, content=content)
        response = await self.speech.Recognize(request, timeout=deadline)
        return str(response.metadata.replica)

    async def classify(self, model: str = "") -> str:
        """The replica that answered."""
        request = classification_pb2.ClassifyRequest(config={"model": model})
        response = await self.zero_shot.Classify(request, timeout=PATIENCE)
        return str(response.metadata.replica)

    async def start(self, service: Service, name: str, **environment: str) -> Backend:
        """A fake replica; Envoy does not know of it yet."""
        (port,) = free_ports(1)
        ours = {"EARSHOT_PORT": str(port), "EARSHOT_REPLICA": name, "EARSHOT_DRAIN_SECONDS": "1"}
        child = await Child.start(
            fake(service).command,
            os.environ | self.told | ours | environment,
            self.state.logs / f"{name}.log",
        )
        self.cleanup.push_async_callback(child.stop, 0.0)
        await until_open(port)
        return Backend(name, port, child)

    async def list(self, service: Service, *backends: Backend) -> None:
        """Tells Envoy that these are the replicas, and waits until it sends calls to them."""
        self.publish(service, *backends)
        await self.healthy(*backends)

    def publish(self, service: Service, *backends: Backend) -> None:
        """Tells Envoy that these are the replicas."""
        endpoints.publish(self.state.endpoints, service.cluster, [each.port for each in backends])

    async def healthy(self, *backends: Backend) -> None:
        """Waits until Envoy takes all of them for healthy."""

        async def all_healthy() -> bool:
            health = await self.envoy.health()
            return all(health.get(each.port) == "healthy" for each in backends)

        await until(all_healthy)

    async def http(
        self, method: str, path: str, body: str | bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, and body of a plain HTTP/1.1 call."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(http, self.envoy.port, method, path, body, named)


@asynccontextmanager
async def plane(scratch: Path, protection: Protection | None = None) -> AsyncIterator[Plane]:
    """Envoy without any replica."""
    protection = protection or Protection()
    async with AsyncExitStack() as cleanup:
        state = StateFolder(scratch / "state")
        cleanup.enter_context(state.hold())
        for cluster in SERVICES:
            endpoints.publish(state.endpoints, cluster, [])
        (port,) = free_ports(1)
        envoy = Envoy(state, port, prepare(state, protection))
        cleanup.push_async_callback(envoy.stop)
        await envoy.start()
        channel = _channel(f"127.0.0.1:{port}", state if protection.tls else None)
        await cleanup.enter_async_context(channel)
        yield Plane(state, envoy, channel, cleanup, of_replicas(state, protection))


def _channel(target: str, trusted: StateFolder | None) -> grpc.aio.Channel:
    if trusted is None:
        return grpc.aio.insecure_channel(target, options=CHANNEL)
    credentials = grpc.ssl_channel_credentials(authority(trusted).read_bytes())
    return grpc.aio.secure_channel(target, credentials, options=CHANNEL)


@asynccontextmanager
async def full_plane(scratch: Path, protection: Protection | None = None) -> AsyncIterator[Plane]:
    """Envoy with two speech-to-text replicas, stt-1 and stt-2, and classification-1."""
    async with plane(scratch, protection) as made:
        first, second, third = await asyncio.gather(
            made.start(STT, "stt-1"), made.start(STT, "stt-2"), made.start(CLASSIFICATION, "classification-1")
        )
        await made.list(STT, first, second)
        await made.list(CLASSIFICATION, third)
        made.listed = {"stt": [first, second], "classification": [third]}
        yield made


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Waits for what must come true."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.02)


async def until_open(port: int) -> None:
    """Waits until somebody listens there."""

    async def is_open() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await until(is_open)


def http(
    port: int, method: str, path: str, body: str | bytes | None, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    """A plain HTTP/1.1 call, its path exactly as given."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def shares(names: Iterable[str]) -> dict[str, float]:
    """The part of all calls that each replica answered."""
    answered = list(names)
    return {name: answered.count(name) / len(answered) for name in set(answered)}


async def listed(plane: Plane) -> set[str]:
    """The services that reflection lists."""
    stub = reflection_pb2_grpc.ServerReflectionStub(plane.channel)
    call = stub.ServerReflectionInfo(timeout=PATIENCE)
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    answer = await call.read()
    await call.done_writing()
    return {service.name for service in answer.list_services_response.service}

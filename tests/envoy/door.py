"""An Envoy that asks who is calling, every kind of caller, and how each asks every method."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_reflection.v1alpha import reflection_pb2

from earshot.local.certificates import CERTIFICATE, KEY, Signer
from tests.envoy import harness
from tests.envoy.callers import Caller, Registry, trusted
from tests.envoy.harness import PATIENCE, Plane, until

SPEECH, ZERO_SHOT = "earshot.v1.SpeechToText", "earshot.v1.ZeroShotClassifier"
USAGE = "earshot.v1.Usage"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
# Bob may hear and list models; nobody else is held to anything.
CLIENTS = {
    "bob": (f"{SPEECH}/Recognize", f"{ZERO_SHOT}/ListModels"),
    "alice": ("*",),
}


@dataclass
class Door:
    """An Envoy that asks who is calling, and who is known to it."""

    plane: Plane
    registry: Registry
    callers: dict[str, Caller]

    @asynccontextmanager
    async def channel(self, caller: Caller) -> AsyncIterator[grpc.aio.Channel]:
        async with caller.channel(self.plane.target, trusted(self.plane.state)) as channel:
            yield channel


@asynccontextmanager
async def opened() -> AsyncIterator[Door]:
    """One, while the context lasts."""
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        registry = Registry(Path(folder) / "known")
        async with harness.full_plane(Path(folder), registry.protection(CLIENTS)) as plane:
            door = Door(plane, registry, _callers(registry, plane))
            await until(lambda: knows(door, "the right key"))
            yield door


def _callers(registry: Registry, plane: Plane) -> dict[str, Caller]:
    revoked = registry.key(plane.state, "carol")
    right, few = registry.key(plane.state, "alice"), registry.key(plane.state, "bob")
    registry.revoke(plane.state, "carol")
    stranger = ec.generate_private_key(ec.SECP256R1())
    return {
        "no proof": Caller(),
        "a forged name": Caller({"x-earshot-client": "alice"}),
        "a wrong key": Caller({"x-api-key": "earshot_wrong"}),
        "an empty key": Caller({"x-api-key": ""}),
        "a revoked key": revoked,
        "an expired token": registry.token("alice", exp=1_000_000_000),
        "a token that never ends": registry.token("alice", exp=None),
        "a token without a name": registry.token("alice", sub=None),
        "a token with an empty name": registry.token(""),
        "a token that brings a header": registry.token("bob\r\nx-earshot-client: alice"),
        "a token for others": registry.token("alice", aud="elsewhere"),
        "a token of another issuer": registry.token("alice", iss="https://evil.example"),
        "a token that others signed": registry.token("alice", stranger),
        "a right key and a wrong token": Caller(right.headers | registry.token("alice", stranger).headers),
        "a right token and a wrong key": Caller(registry.token("alice").headers | {"x-api-key": "wrong"}),
        "the right key": right,
        "the right token": registry.token("alice"),
        "the right certificate": registry.certificate("alice"),
        "a wrong certificate": Caller(right.headers, Signer.new("others").issue("alice")),
        "bob": few,
    }


RIGHT = ("the right key", "the right token", "the right certificate")
UNKNOWN = (
    *("no proof", "a forged name", "a wrong key", "an empty key", "a revoked key", "an expired token"),
    *("a token that never ends", "a token without a name", "a token with an empty name"),
    *("a token that brings a header", "a token for others", "a token of another issuer"),
    *("a token that others signed", "a right key and a wrong token", "a right token and a wrong key"),
)

# Each method as raw bytes: what is asked does not matter, who asks does.
METHODS = {
    f"{SPEECH}/Recognize": False,
    f"{SPEECH}/StreamingRecognize": True,
    f"{SPEECH}/ListModels": False,
    f"{ZERO_SHOT}/Classify": False,
    f"{ZERO_SHOT}/ClassifySpeech": False,
    f"{ZERO_SHOT}/StreamingClassifySpeech": True,
    f"{ZERO_SHOT}/ListModels": False,
    f"{USAGE}/GetUsage": False,
    f"{REFLECTION}/ServerReflectionInfo": True,
}
REST = {
    "POST /v1/speech:recognize": f"{SPEECH}/Recognize",
    "GET /v1/speech/models": f"{SPEECH}/ListModels",
    "POST /v1/text:classify": f"{ZERO_SHOT}/Classify",
    "POST /v1/speech:classify": f"{ZERO_SHOT}/ClassifySpeech",
    "GET /v1/models": f"{ZERO_SHOT}/ListModels",
    "GET /v1/usage": f"{USAGE}/GetUsage",
}


async def call(channel: grpc.aio.Channel, caller: Caller, method: str) -> tuple[str, str]:
    """The code, and what was said about it, of a unary method."""
    try:
        await channel.unary_unary(f"/{method}")(b"", metadata=caller.metadata, timeout=PATIENCE)
    except grpc.aio.AioRpcError as failure:
        return failure.code().name, failure.details() or ""
    return "OK", ""


async def outcomes(door: Door, caller: Caller) -> dict[str, tuple[str, str]]:
    """The same of every method."""
    return await asyncio.to_thread(_outcomes, door, caller)


def _outcomes(door: Door, caller: Caller) -> dict[str, tuple[str, str]]:
    # Not by grpc.aio: where a stream is refused during a write it has a status of its own.
    with caller.blocking(door.plane.target, trusted(door.plane.state)) as channel:
        return {method: outcome(channel, caller, method) for method in METHODS}


def outcome(channel: grpc.Channel, caller: Caller, method: str) -> tuple[str, str]:
    """The code of a call, and what was said about it."""
    told: dict[str, Any] = {"metadata": caller.metadata, "timeout": PATIENCE}
    try:
        if METHODS[method]:
            list(channel.stream_stream(f"/{method}")(iter((_stream_request(method),)), **told))
        else:
            channel.unary_unary(f"/{method}")(b"", **told)
    except grpc.RpcError as failure:
        assert isinstance(failure, grpc.Call)  # noqa: PT017 - for what types know
        return failure.code().name, failure.details() or ""
    return "OK", ""


def _stream_request(method: str) -> bytes:
    if method.startswith(REFLECTION):
        return reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    return b""


def rest(door: Door, caller: Caller, route: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the same as JSON."""
    method, path = route.split()
    connection = HTTPSConnection("127.0.0.1", door.plane.envoy.port, context=shown(door, caller))
    try:
        body = "{}" if method == "POST" else None
        connection.request(method, path, body, {"content-type": "application/json"} | caller.headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def shown(door: Door, caller: Caller) -> ssl.SSLContext:
    """For a connection by TLS that shows the caller's certificate, where it has one."""
    context = ssl.create_default_context(cafile=str(trusted(door.plane.state)))
    if caller.certificate:
        with TemporaryDirectory() as folder:
            for name in (KEY, CERTIFICATE):
                (Path(folder) / name).write_bytes(caller.certificate[name])
            context.load_cert_chain(Path(folder) / CERTIFICATE, Path(folder) / KEY)
    return context


async def knows(door: Door, name: str) -> bool:
    """Whether it lets that caller in."""
    async with door.channel(door.callers[name]) as channel:
        code, _ = await call(channel, door.callers[name], f"{SPEECH}/ListModels")
    return code == "OK"

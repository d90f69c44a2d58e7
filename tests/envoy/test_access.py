"""Who gets in: every kind of caller by every method, over gRPC and as JSON, at the real Envoy."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_reflection.v1alpha import reflection_pb2

from earshot.gen.v1 import speech_pb2, speech_pb2_grpc
from earshot.local.certificates import CERTIFICATE, KEY, Signer
from earshot.local.http import fetch
from earshot.local.keys import digest
from earshot.local.security import make_certificate
from tests.envoy import harness
from tests.envoy.callers import Caller, Registry, trusted
from tests.envoy.harness import PATIENCE, Plane, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door() -> AsyncIterator[Door]:
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        registry = Registry(Path(folder) / "known")
        async with harness.full_plane(Path(folder), registry.protection(CLIENTS)) as plane:
            door = Door(plane, registry, _callers(registry, plane))
            await until(lambda: _knows(door, "the right key"))
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
    *("a token that never ends", "a token for others", "a token of another issuer"),
    *("a token that others signed", "a right key and a wrong token", "a right token and a wrong key"),
)

# Each method as raw bytes: what is asked does not matter, who asks does.
METHODS = {
    f"{SPEECH}/Recognize": False,
    f"{SPEECH}/StreamingRecognize": True,
    f"{SPEECH}/ListModels": False,
    f"{ZERO_SHOT}/Classify": False,
    f"{ZERO_SHOT}/ClassifySpeech": False,
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
    connection = HTTPSConnection("127.0.0.1", door.plane.envoy.port, context=_context(door, caller))
    try:
        body = "{}" if method == "POST" else None
        connection.request(method, path, body, {"content-type": "application/json"} | caller.headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _context(door: Door, caller: Caller) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted(door.plane.state)))
    if caller.certificate:
        with TemporaryDirectory() as folder:
            for name in (KEY, CERTIFICATE):
                (Path(folder) / name).write_bytes(caller.certificate[name])
            context.load_cert_chain(Path(folder) / CERTIFICATE, Path(folder) / KEY)
    return context


async def _knows(door: Door, name: str) -> bool:
    async with door.channel(door.callers[name]) as channel:
        code, _ = await call(channel, door.callers[name], f"{SPEECH}/ListModels")
    return code == "OK"


@pytest.mark.parametrize("name", RIGHT)
async def test_who_is_known_may_call_everything(door: Door, name: str) -> None:
    caller = door.callers[name]
    assert await outcomes(door, caller) == dict.fromkeys(METHODS, ("OK", ""))
    for route in REST:
        status, _ = await asyncio.to_thread(rest, door, caller, route)
        assert status == 200, route


@pytest.mark.parametrize("name", UNKNOWN)
async def test_who_is_not_known_may_call_nothing(door: Door, name: str) -> None:
    caller = door.callers[name]
    for method, (code, message) in (await outcomes(door, caller)).items():
        assert code == "UNAUTHENTICATED", method
        assert message
    for route in (*REST, "GET /v1/nothing"):
        status, answer = await asyncio.to_thread(rest, door, caller, route)
        assert (status, answer["code"]) == (401, 16), route


async def test_a_wrong_certificate_ends_the_connection(door: Door) -> None:
    """Whatever else is right."""
    caller = door.callers["a wrong certificate"]
    assert {code for code, _ in (await outcomes(door, caller)).values()} == {"UNAVAILABLE"}
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(rest, door, caller, "GET /v1/models")


async def test_no_plain_text_is_taken(door: Door) -> None:
    async with grpc.aio.insecure_channel(door.plane.target) as channel:
        assert (await call(channel, door.callers["the right key"], f"{SPEECH}/Recognize"))[0] == "UNAVAILABLE"


async def test_a_client_may_call_what_it_may(door: Door) -> None:
    bob = door.callers["bob"]
    refusals = {method: ("PERMISSION_DENIED", f"client bob may not call /{method}") for method in METHODS}
    assert await outcomes(door, bob) == refusals | dict.fromkeys(CLIENTS["bob"], ("OK", ""))
    for route, method in REST.items():
        status, answer = await asyncio.to_thread(rest, door, bob, route)
        if method in CLIENTS["bob"]:
            assert status == 200, route
        else:
            assert (status, answer["code"]) == (403, 7)
            assert answer["message"] == f"client bob may not call /{method}"


async def test_who_is_named_nowhere_may_call_nothing(door: Door) -> None:
    stranger = door.registry.token("dave")
    async with door.channel(stranger) as channel:
        code, _ = await call(channel, stranger, f"{SPEECH}/Recognize")
    assert code == "PERMISSION_DENIED"


FORGERIES = [
    {"x-earshot-client": "admin"},
    {"X-Earshot-Client": "admin"},
]


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("forgery", FORGERIES, ids=str)
async def test_only_the_proved_name_reaches_the_service(
    door: Door, name: str, forgery: dict[str, str]
) -> None:
    caller = door.callers[name]
    metadata = (*((key.lower(), value) for key, value in forgery.items()), *caller.metadata)
    async with door.channel(caller) as channel:
        stub: Any = speech_pb2_grpc.SpeechToTextStub(channel)
        request = speech_pb2.RecognizeRequest(config={"model": "who"})
        answer = await stub.Recognize(request, metadata=(*metadata, *metadata[:1]), timeout=PATIENCE)
    assert answer.results[0].alternatives[0].transcript == "x-earshot-client alice"
    forged = Caller(caller.headers | forgery, caller.certificate)
    _, told = await asyncio.to_thread(_who, door, forged)
    assert told == "x-earshot-client alice"


def _who(door: Door, caller: Caller) -> tuple[int, str]:
    connection = HTTPSConnection("127.0.0.1", door.plane.envoy.port, context=_context(door, caller))
    try:
        connection.request("POST", "/v1/speech:recognize", '{"config": {"model": "who"}}', caller.headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["results"][0]["alternatives"][0]["transcript"]
    finally:
        connection.close()


async def test_probes_and_figures_stay_open(door: Door) -> None:
    assert "LIVE" in await fetch(door.plane.envoy.metrics_port, "/ready")
    assert "envoy_" in await fetch(door.plane.envoy.metrics_port, "/stats/prometheus")


async def test_it_says_when_its_certificates_end(door: Door) -> None:
    """The alert that warns of it asks Envoy, which counts every few seconds: 397 days after they are made."""

    async def says() -> bool:
        figures = await fetch(door.plane.envoy.metrics_port, "/stats/prometheus")
        days = re.search(r"^envoy_server_days_until_first_cert_expiring\{\} (\d+)$", figures, re.MULTILINE)
        return days is not None and 390 < int(days[1]) <= 397

    await until(says)


async def test_the_services_door_is_for_their_owner(door: Door) -> None:
    """Whom a service calls for is believed there, and nowhere else."""
    inner = door.plane.state.inner
    assert inner.stat().st_mode & 0o777 == 0o600
    async with grpc.aio.insecure_channel(f"unix:{inner}") as channel:
        stub: Any = speech_pb2_grpc.SpeechToTextStub(channel)
        request = speech_pb2.RecognizeRequest(config={"model": "who"})
        metadata = (("x-earshot-client", "carol"),)
        answer = await stub.Recognize(request, metadata=metadata, timeout=PATIENCE)
        assert answer.results[0].alternatives[0].transcript == "x-earshot-client carol"
        code, _ = await call(channel, Caller(), f"{ZERO_SHOT}/Classify")
    assert code == "UNIMPLEMENTED"


async def test_nothing_secret_can_be_read_by_others(door: Door) -> None:
    state = door.plane.state
    files = [file for folder in (state.keys, state.tls, state.secrets) for file in folder.rglob("*")]
    assert len([file for file in files if file.is_file()]) >= 8
    assert {file.name for file in files if file.is_file() and file.stat().st_mode & 0o077} == set()
    key = door.callers["the right key"].headers["x-api-key"]
    records = (state.keys / "keys.json").read_text(encoding="utf-8")
    assert "alice" in records
    assert key not in records


async def test_a_key_holds_from_when_it_is_made_until_it_is_revoked(door: Door) -> None:
    """Without a restart, and while other calls run."""
    caller = door.registry.key(door.plane.state, "alice")
    async with door.channel(caller) as channel:

        async def answers(code: str) -> bool:
            return (await call(channel, caller, f"{SPEECH}/ListModels"))[0] == code

        await until(lambda: answers("OK"))
        door.registry.revoke(door.plane.state, digest(caller.headers["x-api-key"])[:8])
        await until(lambda: answers("UNAUTHENTICATED"))
    assert await _knows(door, "the right key")
    assert door.plane.envoy.restarts == 0


async def test_nothing_fails_while_certificates_and_keys_change(door: Door) -> None:
    """Calls on connections that last, and on new ones."""
    done, codes = asyncio.Event(), list[str]()

    async def lasting(caller: Caller) -> None:
        async with door.channel(caller) as channel:
            while not done.is_set():
                codes.append((await call(channel, caller, f"{SPEECH}/ListModels"))[0])

    async def anew(caller: Caller) -> None:
        while not done.is_set():
            async with door.channel(caller) as channel:
                codes.append((await call(channel, caller, f"{SPEECH}/ListModels"))[0])

    callers = [door.callers[name] for name in RIGHT]
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(lasting(caller))
            group.create_task(anew(caller))
        for _ in range(10):
            await _rotate(door)
        done.set()
    assert Counter(codes) == {"OK": len(codes)}
    assert len(codes) >= 6


async def _rotate(door: Door) -> None:
    """The edge's certificate is another, seen from outside; a key comes and another goes."""
    state, port = door.plane.state, door.plane.envoy.port
    before = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    door.registry.key(state, "erin")
    make_certificate(state)
    door.registry.revoke(state, "erin")

    async def changed() -> bool:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) != before

    await until(changed)


async def test_old_tls_is_refused(door: Door) -> None:
    context = _context(door, door.callers["the right key"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM")
    assert await asyncio.to_thread(_handshake, door, context) == "TLSv1.2"
    context.set_ciphers("ECDHE+AES+SHA:@SECLEVEL=0")  # CBC
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(_handshake, door, context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(_handshake, door, context)


def _handshake(door: Door, context: ssl.SSLContext) -> str | None:
    address = ("127.0.0.1", door.plane.envoy.port)
    with (
        socket.create_connection(address, timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.version()

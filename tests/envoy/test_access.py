"""Who gets in: every kind of caller by every method, over gRPC and as JSON, at the real Envoy."""

from __future__ import annotations

import asyncio
import json
import ssl
from http.client import HTTPSConnection
from typing import Any

import grpc
import pytest

from earshot.gen.v1 import classification_pb2, speech_pb2, speech_pb2_grpc, usage_pb2
from earshot.local.http import fetch
from tests.envoy.callers import Caller
from tests.envoy.door import (
    CLIENTS,
    METHODS,
    REST,
    RIGHT,
    SPEECH,
    UNKNOWN,
    ZERO_SHOT,
    Door,
    call,
    outcomes,
    rest,
    shown,
)
from tests.envoy.harness import PATIENCE

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_matrix_has_every_method() -> None:
    files = (speech_pb2, classification_pb2, usage_pb2)
    services = [one for file in files for one in file.DESCRIPTOR.services_by_name.values()]
    assert {f"{one.full_name}/{method.name}" for one in services for method in one.methods} <= METHODS.keys()


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


async def test_a_web_page_is_asked_the_same(door: Door) -> None:
    """gRPC-Web: who is not known, who may not, and who may."""
    codes = {name: await asyncio.to_thread(_from_a_page, door, door.callers[name]) for name in WEB}
    assert codes == WEB


WEB = {"no proof": "16", "a forged name": "16", "a wrong key": "16", "bob": "7", "the right key": "0"}


def _from_a_page(door: Door, caller: Caller) -> str:
    """The status of StreamingRecognize, with nothing sent."""
    connection = HTTPSConnection("127.0.0.1", door.plane.envoy.port, context=shown(door, caller))
    try:
        web = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
        connection.request("POST", f"/{SPEECH}/StreamingRecognize", b"", caller.headers | web)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace").replace(" ", "")
        return answer.headers["grpc-status"] or body.partition("grpc-status:")[2][:2].strip()
    finally:
        connection.close()


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
    connection = HTTPSConnection("127.0.0.1", door.plane.envoy.port, context=shown(door, caller))
    try:
        connection.request("POST", "/v1/speech:recognize", '{"config": {"model": "who"}}', caller.headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())["results"][0]["alternatives"][0]["transcript"]
    finally:
        connection.close()


async def test_probes_and_figures_stay_open(door: Door) -> None:
    assert "LIVE" in await fetch(door.plane.envoy.metrics_port, "/ready")
    assert "envoy_" in await fetch(door.plane.envoy.metrics_port, "/stats/prometheus")


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

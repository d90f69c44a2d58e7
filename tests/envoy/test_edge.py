"""What the edge keeps out, what it lets callers see, and where its limits are."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import closing
from http.client import HTTPConnection

import grpc
import pytest

from earshot.gen.v1 import speech_pb2
from earshot.local.http import fetch
from tests.envoy.harness import PATIENCE, Plane, http
from tests.envoy.hostile import UNARY, attacker

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEBIBYTE = 1024 * 1024
TOO_LONG = "the message is longer than is taken (64 MiB, or less by the service's settings)"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1%2Fmodels", {}, 400),
        ("/v1%5Cmodels", {}, 400),
        ("/v1/models", {"under_scored": "x"}, 400),
        ("/v1/models", {"x-long": "x" * 40_000}, 431),
        ("/v1/models", {f"x-{number}": "x" for number in range(120)}, 431),
        ("//v1/./x/..//models", {}, 200),
        ("/admin", {}, 404),
        ("/stats/prometheus", {}, 404),
        ("/quitquitquit", {}, 404),
    ],
)
async def test_hardening(standing: Plane, path: str, headers: dict[str, str], status: int) -> None:
    answered, _, _ = http(standing.envoy.port, "GET", path, None, headers)
    assert answered == status


async def test_every_answer_names_its_request(standing: Plane) -> None:
    _, made, _ = await standing.http("GET", "/v1/models")
    _, kept, _ = await standing.http("GET", "/v1/models", x_request_id="mine")
    _, refused, _ = await standing.http("GET", "/nothing", x_request_id="mine too")
    assert len(made["x-request-id"]) == 36
    assert (kept["x-request-id"], refused["x-request-id"]) == ("mine", "mine too")


async def test_no_web_page_may_call_unless_it_is_named(standing: Plane) -> None:
    status, headers, _ = await standing.http(
        "OPTIONS",
        "/v1/text:classify",
        origin="https://elsewhere.example",
        access_control_request_method="POST",
    )
    assert status == 404
    assert not [name for name in headers if name.startswith("access-control")]


async def test_the_largest_message_passes(standing: Plane) -> None:
    request = speech_pb2.RecognizeRequest(content=bytes(64 * MEBIBYTE - 1000))
    answer = await standing.speech.Recognize(request, timeout=PATIENCE)
    assert answer.results[0].alternatives[0].transcript == f"{64 * MEBIBYTE - 1000} bytes"


@pytest.mark.parametrize("mebibytes", [82, 120])
async def test_a_message_too_long_is_refused_in_so_many_words(standing: Plane, mebibytes: int) -> None:
    """The shorter one is refused by the server, and is too long to be tried again."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await standing.recognize(content=bytes(mebibytes * MEBIBYTE))
    assert failure.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert failure.value.details() == TOO_LONG


async def test_one_far_too_long_is_refused_by_its_first_bytes_in_the_same_words(standing: Plane) -> None:
    """By the server: Envoy has not seen enough of it."""

    def ended() -> str:
        with attacker(standing.envoy.port) as made:
            stream = made.open(UNARY)
            made.http2.send_data(stream, struct.pack(">BI", 0, 120 * MEBIBYTE) + bytes(1000))
            made.flush()
            return made.ended(stream)

    said = await asyncio.to_thread(ended)
    assert said == f"status 200 grpc 11 {TOO_LONG}"


async def test_json_too_long_is_refused_before_it_is_read(standing: Plane) -> None:
    connection = HTTPConnection("127.0.0.1", standing.envoy.port, timeout=PATIENCE)
    connection.putrequest("POST", "/v1/speech:recognize")
    connection.putheader("content-length", str(100 * MEBIBYTE))
    connection.endheaders()
    with closing(connection), connection.getresponse() as response:
        status, answer = response.status, response.read()
    assert status == 413
    assert json.loads(answer) == {
        "code": 11,
        "message": TOO_LONG,
    }


async def test_a_stream_may_be_longer_than_a_message(standing: Plane) -> None:
    call = standing.speech.StreamingRecognize(timeout=PATIENCE)
    for number in range(100):
        audio = {"sequence_number": number, "content": bytes(MEBIBYTE)}
        await call.write(speech_pb2.StreamingRecognizeRequest(audio=audio))
        await call.read()
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


@pytest.mark.parametrize("seconds", [0.001, 0.2])
async def test_a_deadline_holds(standing: Plane, seconds: float) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await standing.recognize("sleep:10", deadline=seconds)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_envoy_ends_a_call_whose_deadline_has_passed(standing: Plane) -> None:
    """The caller's own clock does not run here: the header is set by hand."""
    call = standing.channel.unary_unary("/earshot.v1.SpeechToText/Recognize")
    request = speech_pb2.RecognizeRequest(config={"model": "sleep:10"}).SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(request, metadata=(("grpc-timeout", "200m"),))
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_figures_have_calls_and_bytes_by_method(standing: Plane) -> None:
    await standing.recognize(content=b"x" * 1000)
    figures = await fetch(standing.envoy.metrics_port, "/stats/prometheus")
    success = [line for line in figures.splitlines() if "SpeechToText" in line and "success" in line]
    received = [
        line for line in figures.splitlines() if "wire_bytes_received" in line and "Recognize" in line
    ]
    assert success
    assert received
    assert float(received[0].rpartition(" ")[2]) >= 1000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ready", 200),
        ("GET", "/stats/prometheus", 200),
        ("POST", "/ready", 404),
        ("POST", "/stats/prometheus", 404),
        ("GET", "/stats/prometheus?usedonly", 200),
        ("GET", "/stats", 404),
        ("GET", "/config_dump", 404),
        ("POST", "/quitquitquit", 404),
        ("GET", "/ready/../config_dump", 404),
    ],
)
async def test_the_port_for_figures_gives_nothing_else(
    standing: Plane, method: str, path: str, status: int
) -> None:
    answered, _, _ = http(standing.envoy.metrics_port, method, path, None, {})
    assert answered == status


@pytest.mark.parametrize("path", ["/config_dump", "/quitquitquit", "/runtime", "/logging", "/certs", "/"])
async def test_the_admin_does_only_what_is_needed(standing: Plane, path: str) -> None:
    answered, _, _ = http(standing.envoy.admin_port, "POST", path, None, {})
    assert answered == 403

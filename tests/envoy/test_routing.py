"""Which service answers what, by gRPC and by gRPC-Web."""

from __future__ import annotations

import shutil
import struct
import subprocess

import grpc
import pytest

from earshot.gen.v1 import classification_pb2, speech_pb2
from tests.envoy.harness import PATIENCE, Plane, listed
from tests.lacking import lacking

pytestmark = pytest.mark.asyncio(loop_scope="module")


def grpcurl() -> str:
    """The tool, by its path."""
    found = shutil.which("grpcurl")
    if found is None:
        lacking("grpcurl is not on the PATH")
    return found


async def test_each_method_reaches_its_service(standing: Plane) -> None:
    speech, zero_shot = standing.speech, standing.zero_shot
    heard = await standing.recognize()
    scored = await standing.classify()
    both = await zero_shot.ClassifySpeech(classification_pb2.ClassifySpeechRequest(content=b"abc"))
    models = await speech.ListModels(speech_pb2.SpeechToTextListModelsRequest())
    labels = await zero_shot.ListModels(classification_pb2.ZeroShotClassifierListModelsRequest())
    assert heard.startswith("stt-")
    assert scored == "classification-1"
    assert (both.transcript, both.classification_metadata.replica) == ("3 bytes", "classification-1")
    assert models.models[0].name == labels.models[0].name == "fake-model"


async def test_a_stream_goes_both_ways(standing: Plane) -> None:
    call = standing.speech.StreamingRecognize(timeout=PATIENCE)
    for number in range(1, 4):
        audio = {"sequence_number": number, "content": b"x" * 200_000}
        await call.write(speech_pb2.StreamingRecognizeRequest(audio=audio))
        answer = await call.read()
        assert answer.acknowledgement.acked_sequence_number == number
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_unknown_methods_are_unimplemented(standing: Plane) -> None:
    for method in (
        "/no.such.Service/Method",
        "/earshot.v1.SpeechToText/NoSuchMethod",
        "/grpc.health.v1.Health/Check",
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await standing.channel.unary_unary(method)(b"")
        assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert failure.value.details() == "there is no such method or path"


async def test_an_error_keeps_its_details(standing: Plane) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await standing.recognize("code:INVALID_ARGUMENT")
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    names = {name for name, _ in failure.value.trailing_metadata()}
    assert "grpc-status-details-bin" in names


async def test_reflection_lists_both_services(standing: Plane) -> None:
    assert {"earshot.v1.SpeechToText", "earshot.v1.ZeroShotClassifier"} <= await listed(standing)


async def test_grpcurl_needs_no_proto_files(standing: Plane) -> None:
    """Also that the version of reflection that a server lacks is answered so that tools fall back."""
    command = [grpcurl(), "-plaintext", "-d", '{"content": "aGVsbG8="}', standing.target]
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this test
        [*command, "earshot.v1.SpeechToText/Recognize"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert '"transcript": "5 bytes"' in done.stdout


async def test_grpc_web_is_spoken(standing: Plane) -> None:
    message = speech_pb2.RecognizeRequest(content=b"hello").SerializeToString()
    framed = b"\0" + struct.pack(">I", len(message)) + message
    status, headers, body = await standing.http(
        "POST",
        "/earshot.v1.SpeechToText/Recognize",
        framed,
        content_type="application/grpc-web+proto",
        x_grpc_web="1",
    )
    (length,) = struct.unpack(">I", body[1:5])
    answer = speech_pb2.RecognizeResponse.FromString(body[5 : 5 + length])
    assert (status, headers["content-type"]) == (200, "application/grpc-web+proto")
    assert answer.results[0].alternatives[0].transcript == "5 bytes"
    assert b"grpc-status:0" in body[5 + length :].replace(b" ", b"")

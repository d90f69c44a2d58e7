"""Bytes that are no message: every method says so, and does not fail of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from earshot import errors
from earshot.gen.v1 import classification_pb2, speech_pb2, usage_pb2
from earshot.rpc.status import from_rpc_error
from tests.rpc.conftest import Running, Start, log_lines
from tests.rpc.live import config
from tests.rpc.test_streaming_classify import first

NONE = b"\xff canary"
SPEECH = speech_pb2.DESCRIPTOR.services_by_name["SpeechToText"]
TEXTS = classification_pb2.DESCRIPTOR.services_by_name["ZeroShotClassifier"]
USAGE = usage_pb2.DESCRIPTOR.services_by_name["Usage"]
CONFIGS = {
    "StreamingRecognize": speech_pb2.StreamingRecognizeRequest(streaming_config=config()),
    "StreamingClassifySpeech": first(),
}


async def _refusal(
    service: Running, path: str, messages: list[bytes], *, stream: bool
) -> errors.EarshotError:
    async def sent() -> AsyncIterator[bytes]:
        for message in messages:
            yield message

    call = service.channel.stream_stream(path)(sent()) if stream else None
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (_read(call) if call else service.channel.unary_unary(path)(messages[0]))
    return from_rpc_error(caught.value)


async def _read(call: AsyncIterator[bytes]) -> None:
    async for _ in call:
        pass


async def _each_refuses(service: Running, *kinds: object) -> int:
    """How many methods there are."""
    count = 0
    for kind in kinds:
        for method in kind.methods:  # type: ignore[attr-defined]
            path, stream = f"/{kind.full_name}/{method.name}", method.client_streaming  # type: ignore[attr-defined]
            begun = [CONFIGS[method.name].SerializeToString()] if stream else []
            for messages in ([NONE], [*begun, NONE]):
                error = await _refusal(service, path, messages, stream=stream)
                assert isinstance(error, errors.InvalidArgumentError), f"{path}: {error}"
                assert error.reason == "MESSAGE_MALFORMED"
            count += 1
    return count


async def test_of_speech(start_speech: Start, logged: pytest.CaptureFixture[str]) -> None:
    async with start_speech("exact") as service:
        assert await _each_refuses(service, SPEECH, USAGE) == 4
    assert not log_lines(logged, "fault")


async def test_of_texts(start_speech: Start, start_texts: Start) -> None:
    async with (
        start_speech("exact") as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}") as texts,
    ):
        assert await _each_refuses(texts, TEXTS, USAGE) == 5

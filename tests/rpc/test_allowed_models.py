"""Which models each client may use, over the wire: each method, and while it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from earshot import errors
from earshot.gen.v1 import classification_pb2, speech_pb2
from earshot.rpc.status import from_rpc_error
from tests.rpc import clips
from tests.rpc.conftest import Running, Start
from tests.rpc.live import config, requests

# The one hears with "ears", the other scores with "labels".
TABLE = {"all": ["*"], "ears": ["ears"], "labels": ["lab*"]}


@dataclass
class Both:
    """A service that hears, and one that hears through it; both go by the same file."""

    speech: Running
    texts: Running
    file: Path

    def allow(self, table: dict[str, list[str]]) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(table))
        fresh.replace(self.file)


@pytest.fixture
async def both(start_speech: Start, start_texts: Start, tmp_path: Path) -> AsyncIterator[Both]:
    file = tmp_path / "models.json"
    file.write_text(json.dumps(TABLE))
    async with AsyncExitStack() as stack:
        speech = await stack.enter_async_context(start_speech("ears", models_file=file))
        target = f"127.0.0.1:{speech.port}"
        texts = await stack.enter_async_context(start_texts("labels", models_file=file, speech_target=target))
        yield Both(speech, texts, file)


def _labels() -> classification_pb2.ClassificationConfig:
    return classification_pb2.ClassificationConfig(candidate_labels=["a", "b"])


def _recognize(both: Both, metadata: Any) -> Awaitable[Any]:
    return both.speech.speech.Recognize(speech_pb2.RecognizeRequest(content=clips.wav(1)), metadata=metadata)


def _stream(both: Both, metadata: Any) -> Awaitable[Any]:
    sent = requests(config(), [b"\0" * 3200])
    return _talk(both.speech, "/earshot.v1.SpeechToText/StreamingRecognize", sent, metadata)


async def _talk(service: Running, method: str, sent: Sequence[Message], metadata: Any) -> None:
    """A stream to its end. Not by grpc.aio: one that is refused during a write ends otherwise there."""

    def talk() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{service.port}") as channel:
            messages = iter([message.SerializeToString() for message in sent])
            list(channel.stream_stream(method)(messages, metadata=metadata, timeout=60))

    await asyncio.to_thread(talk)


def _classify(both: Both, metadata: Any) -> Awaitable[Any]:
    request = classification_pb2.ClassifyRequest(inputs=[{"text": "a"}], config=_labels())
    return both.texts.texts.Classify(request, metadata=metadata)


def _classify_speech(both: Both, metadata: Any) -> Awaitable[Any]:
    request = classification_pb2.ClassifySpeechRequest(content=clips.wav(1), classification_config=_labels())
    return both.texts.texts.ClassifySpeech(request, metadata=metadata)


def _classify_stream(both: Both, metadata: Any) -> Awaitable[Any]:
    first = classification_pb2.StreamingClassifySpeechConfig(
        recognition_config=config().config, classification_config=_labels()
    )
    sent = [classification_pb2.StreamingClassifySpeechRequest(streaming_config=first)]
    return _talk(both.texts, "/earshot.v1.ZeroShotClassifier/StreamingClassifySpeech", sent, metadata)


# Each method, and the models that it needs.
METHODS: list[tuple[Callable[[Both, Any], Awaitable[Any]], tuple[str, ...]]] = [
    (_recognize, ("ears",)),
    (_stream, ("ears",)),
    (_classify, ("labels",)),
    (_classify_speech, ("labels", "ears")),
    (_classify_stream, ("labels", "ears")),
]


async def _refused(call: Awaitable[Any]) -> errors.EarshotError | None:
    try:
        await call
    except grpc.RpcError as failure:
        return from_rpc_error(failure)
    return None


def _metadata(client: str) -> tuple[tuple[str, str], ...]:
    return (("x-earshot-client", client),) if client else ()


MAY: dict[str, set[str]] = {
    "all": {"ears", "labels"},
    "ears": {"ears"},
    "labels": {"labels"},
    "stranger": set(),
    "": set(),
}


async def test_each_method_and_what_is_listed_by_the_models_that_a_client_may_use(both: Both) -> None:
    for client, may in MAY.items():
        for method, needs in METHODS:
            missing = [model for model in needs if model not in may]
            _check(await _refused(method(both, _metadata(client))), missing[:1])
        assert await _listed(both, client) == (may & {"ears"}, may & {"labels"}, may & {"ears"})


def _check(error: errors.EarshotError | None, missing: list[str]) -> None:
    """Refused with the name of the first model that is missing; or answered."""
    if not missing:
        assert error is None
        return
    assert isinstance(error, errors.PermissionDeniedError)
    assert error.reason == "MODEL_NOT_ALLOWED"
    assert f"may not use model {missing[0]!r}" in error.message


async def _listed(both: Both, client: str) -> tuple[set[str], ...]:
    """By the service that hears; by the one that scores, and what that says that it hears with."""
    metadata = _metadata(client)
    request = speech_pb2.SpeechToTextListModelsRequest()
    speech = await both.speech.speech.ListModels(request, metadata=metadata)
    asking = classification_pb2.ZeroShotClassifierListModelsRequest()
    texts = await both.texts.texts.ListModels(asking, metadata=metadata)
    return tuple({model.name for model in one} for one in (speech.models, texts.models, texts.speech_models))


async def test_a_change_holds_without_a_restart_and_streams_go_on(both: Both) -> None:
    """A stream that has begun goes on to its end, as with a key that is revoked."""
    metadata = _metadata("ears")
    first, *audio = requests(config(), [b"\0" * 3200] * 3)
    call = both.speech.speech.StreamingRecognize(metadata=metadata)
    await call.write(first)
    assert await call.read() is not grpc.aio.EOF
    both.allow({"ears": ["other"]})
    while await _refused(_recognize(both, metadata)) is None:
        await asyncio.sleep(0.05)
    for message in audio:
        await call.write(message)
    await call.done_writing()
    said: list[Any] = []
    while (message := await call.read()) is not grpc.aio.EOF:
        said.append(message)
    assert said[-1].HasField("summary")
    both.allow(TABLE)
    while await _refused(_recognize(both, metadata)) is not None:
        await asyncio.sleep(0.05)

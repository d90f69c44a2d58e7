"""Every request of the API, as far as a front process takes it apart before anybody works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from earshot import errors
from earshot.classification import position as scored_position
from earshot.classification import requests as classification_requests
from earshot.classification import types as texts
from earshot.classification.labels import LabelLimits
from earshot.gen.v1 import classification_pb2, speech_pb2, usage_pb2
from earshot.quotas import usage
from earshot.rpc.codecs import CODECS, codec_of
from earshot.runtime.seals import KeyRing, Seals
from earshot.stt import requests, types
from earshot.stt.streaming import position
from earshot.stt.streaming import requests as streaming_requests

Step = Callable[[], object]

LONGEST_SEGMENT: Final = 25.0  # seconds
SPEECH_MODEL: Final = types.ModelInfo("m", "fuzz", ("en", "de"), (types.Feature.PHRASE_HINTS,), version="1")
TEXT_MODEL: Final = texts.ModelInfo("m", "fuzz", ("en",), tuple(texts.Feature), version="1")
RING: Final = KeyRing(None)
SEALS: Final = Seals(RING, "fuzz", position.Position, 60.0, position.TOKEN_FIELD)
SCORED_SEALS: Final = Seals(RING, "fuzz", scored_position.Position, 60.0, scored_position.TOKEN_FIELD)


def taken_apart(kind: type[Message], data: bytes) -> bool:
    """Whether ``data`` is a ``kind`` that nothing is wrong with. Each error must name a field."""
    try:
        message = kind.FromString(data)
    except DecodeError:
        return False
    return not [step for step in READERS[kind](message) if not _passes(step)]


def _passes(step: Step) -> bool:
    try:
        step()
    except errors.InvalidArgumentError as error:
        assert error.field, error.message
        return False
    return True


def _recognize(request: speech_pb2.RecognizeRequest) -> Iterator[Step]:
    yield lambda: _known_codec(request.config, request.content)
    yield lambda: requests.audio_format(request.config)
    yield lambda: requests.options(request.config, SPEECH_MODEL)


def _stream(request: speech_pb2.StreamingRecognizeRequest) -> Iterator[Step]:
    if request.WhichOneof("streaming_request") != "streaming_config":
        yield lambda: _known_codec(speech_pb2.RecognizeRequest().config, request.audio.content)
        yield lambda: streaming_requests.chunk(request)
        return
    config = request.streaming_config
    yield lambda: streaming_requests.order(config, SPEECH_MODEL, LONGEST_SEGMENT)
    yield lambda: position.opened(config, "m", SEALS)


def _classify(request: classification_pb2.ClassifyRequest) -> Iterator[Step]:
    yield lambda: classification_requests.classify_questions(request, TEXT_MODEL, LabelLimits())


def _classify_speech(request: classification_pb2.ClassifySpeechRequest) -> Iterator[Step]:
    config = request.recognition_config
    yield lambda: _question(request.classification_config, "classification_config")
    yield from _recognize(speech_pb2.RecognizeRequest(config=config, content=request.content))


def _scored_stream(request: classification_pb2.StreamingClassifySpeechRequest) -> Iterator[Step]:
    match request.WhichOneof("streaming_request"):
        case "streaming_config":
            config = request.streaming_config
            path = "streaming_config.classification_config"
            yield lambda: _question(config.classification_config, path)
            yield lambda: scored_position.opened(config, SCORED_SEALS)
            yield from _stream(_passed_on(config))
        case "classification_config":
            yield lambda: _question(request.classification_config, "classification_config")
        case _:
            yield from _stream(speech_pb2.StreamingRecognizeRequest(audio=request.audio))


def _passed_on(config: classification_pb2.StreamingClassifySpeechConfig) -> Any:
    """What the other service is told of it; its token is one that we have sealed, and not the caller's."""
    passed = speech_pb2.StreamingRecognitionConfig(
        config=config.recognition_config, streaming_features=config.streaming_features
    )
    return speech_pb2.StreamingRecognizeRequest(streaming_config=passed)


def _usage(request: usage_pb2.GetUsageRequest) -> Iterator[Step]:
    yield lambda: usage._days(request)


def _nothing(_: Message) -> Iterator[Step]:
    """It has no fields."""
    return iter(())


def _question(config: classification_pb2.ClassificationConfig, path: str) -> object:
    return classification_requests.speech_question(config, TEXT_MODEL, LabelLimits(), path)


def _known_codec(config: Any, content: bytes) -> None:
    assert codec_of(config, content) in CODECS


READERS: Final[dict[type[Message], Callable[[Any], Iterator[Step]]]] = {
    speech_pb2.RecognizeRequest: _recognize,
    speech_pb2.StreamingRecognizeRequest: _stream,
    speech_pb2.SpeechToTextListModelsRequest: _nothing,
    classification_pb2.ClassifyRequest: _classify,
    classification_pb2.ClassifySpeechRequest: _classify_speech,
    classification_pb2.StreamingClassifySpeechRequest: _scored_stream,
    classification_pb2.ZeroShotClassifierListModelsRequest: _nothing,
    usage_pb2.GetUsageRequest: _usage,
}
"""How each request is taken apart: what is done for it, step by step."""

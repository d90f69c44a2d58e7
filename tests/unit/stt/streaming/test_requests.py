"""What a stream may ask for, and how its position comes back in a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from google.protobuf.duration_pb2 import Duration

from earshot import errors
from earshot.audio.formats import Encoding
from earshot.gen.v1 import audio_pb2, speech_pb2, streaming_pb2
from earshot.rpc.streams import first_config
from earshot.runtime.seals import KeyRing, Seals
from earshot.stt.streaming import position, requests
from earshot.stt.streaming.ledger import Mark
from earshot.stt.streaming.position import Position
from earshot.stt.types import ModelInfo

MODEL = ModelInfo("small", "fake", ("en",), ())
Config = speech_pb2.StreamingRecognitionConfig
Message = speech_pb2.StreamingRecognizeRequest


async def _messages(*messages: Message) -> AsyncIterator[Message]:
    for message in messages:
        yield message


def _refused(caught: pytest.ExceptionInfo[errors.InvalidArgumentError]) -> tuple[str, str]:
    return caught.value.reason, caught.value.field


def _audio(content: bytes = b"ab", number: int = 1) -> Message:
    return Message(audio=streaming_pb2.AudioChunk(content=content, sequence_number=number))


def _asking(name: str, seconds: float) -> Config:
    how = streaming_pb2.EndpointingConfig()
    nanos = round(seconds * 1e9)
    getattr(how, name).CopyFrom(Duration(seconds=nanos // 10**9, nanos=nanos % 10**9))
    return Config(streaming_features=streaming_pb2.StreamingFeatures(endpointing=how))


async def test_the_config_comes_first_and_what_follows_is_left() -> None:
    config = Config(resume_token="token")
    messages = _messages(Message(streaming_config=config), _audio())
    assert await first_config(messages, 10) == config
    assert requests.chunk(await anext(messages)).content == b"ab"


@pytest.mark.parametrize("messages", [(), (Message(),), (_audio(), Message(streaming_config=Config()))])
async def test_without_it_nothing_begins(messages: tuple[Message, ...]) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        await first_config(_messages(*messages), 10)
    assert _refused(caught) == ("CONFIG_MISSING", "streaming_config")


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        (Message(streaming_config=Config()), "CONFIG_TWICE", "streaming_config"),
        (Message(), "AUDIO_MISSING", "audio"),
        (_audio(bytes(2**20 + 1)), "CHUNK_TOO_LARGE", "audio.content"),
    ],
)
def test_what_is_no_chunk_is_named(message: Message, reason: str, field: str) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        requests.chunk(message)
    assert _refused(caught) == (reason, field)


@pytest.mark.parametrize("size", [0, 1, 2**20])
def test_chunks_may_have_any_size_up_to_the_largest(size: int) -> None:
    assert len(requests.chunk(_audio(bytes(size))).content) == size


def test_what_is_not_asked_for_has_its_default() -> None:
    order = requests.order(Config(), MODEL, 25.0)
    assert msgspec.structs.astuple(order.endpointing) == (0.6, 15.0, 0.3, 0.3)
    assert (order.interims, order.events, order.encoded_anew) == (False, False, False)
    assert requests.order(Config(), MODEL, 5.0).endpointing.max_segment == 5.0
    assert requests.order(_asking("end_silence", 0.1), MODEL, 25.0).endpointing.post_roll == 0.1


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("end_silence", 0.1, 5.0), ("max_segment", 2.0, 25.0), ("pre_roll", 0.0, 2.0), ("post_roll", 0.0, 0.6)],
)
def test_each_setting_of_endpointing_has_its_bounds(name: str, least: float, most: float) -> None:
    for good in (least, most):
        assert getattr(requests.order(_asking(name, good), MODEL, 25.0).endpointing, name) == good
    for bad in (least - 0.01, most + 0.01, -1.0, 1e6):
        with pytest.raises(errors.InvalidArgumentError) as caught:
            requests.order(_asking(name, bad), MODEL, 25.0)
        field = f"streaming_config.streaming_features.endpointing.{name}"
        assert _refused(caught) == ("ENDPOINTING_OUT_OF_RANGE", field)
        assert f"{least:g} s to {most:g} s" in caught.value.message


def test_the_recognition_config_is_checked_under_its_own_path() -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        requests.order(Config(config=audio_pb2.RecognitionConfig(model="other")), MODEL, 25.0)
    assert _refused(caught) == ("MODEL_UNKNOWN", "streaming_config.config.model")
    explicit = audio_pb2.ExplicitDecodingConfig(
        encoding=audio_pb2.ExplicitDecodingConfig.AUDIO_ENCODING_LINEAR16
    )
    config = Config(config=audio_pb2.RecognitionConfig(explicit_decoding_config=explicit))
    with pytest.raises(errors.InvalidArgumentError) as caught:
        requests.order(config, MODEL, 25.0)
    field = "streaming_config.config.explicit_decoding_config.sample_rate_hertz"
    assert _refused(caught) == ("SAMPLE_RATE_REQUIRED", field)
    config.config.explicit_decoding_config.sample_rate_hertz = 8000
    assert requests.order(config, MODEL, 25.0).audio_format.encoding == Encoding.LINEAR16


@pytest.mark.parametrize("token", ["", "token"])
def test_audio_is_made_anew_only_after_a_break(token: str) -> None:
    config = Config(resume_token=token, audio_from_committed_offset=True)
    assert requests.order(config, MODEL, 25.0).encoded_anew == bool(token)


# Positions and their tokens.

WHERE = Position(
    position.digest(Config()), MODEL.name, 64_000, 64_320, Mark(7, 6400, 6800, 62_720, b"12345678"), 3, 48_000
)


@pytest.fixture
def seals(tmp_path: Path) -> Seals[Position]:
    keys = tmp_path / "keys"
    keys.write_text("a key of some length\n")
    return Seals(KeyRing(keys), "test", Position, 60.0, position.TOKEN_FIELD)


def test_a_new_stream_is_at_its_start(seals: Seals[Position]) -> None:
    where = position.opened(Config(), MODEL.name, seals)
    assert (where.origin, where.finals, where.transcribed, where.mark) == (0, 0, 0, Mark())


def test_a_position_comes_back_as_it_was(seals: Seals[Position]) -> None:
    config = Config(resume_token=seals.seal(WHERE), audio_from_committed_offset=True)
    assert position.opened(config, MODEL.name, seals) == WHERE


@pytest.mark.parametrize(
    "config",
    [
        Config(config=audio_pb2.RecognitionConfig(language_code="en")),
        Config(streaming_features=streaming_pb2.StreamingFeatures(interim_results=True)),
        _asking("end_silence", 0.7),
    ],
)
def test_a_token_is_for_the_config_that_it_came_of(seals: Seals[Position], config: Config) -> None:
    config.resume_token = seals.seal(WHERE)
    with pytest.raises(errors.InvalidArgumentError) as caught:
        position.opened(config, MODEL.name, seals)
    assert _refused(caught) == ("RESUME_TOKEN_OTHER_CONFIG", "streaming_config.resume_token")


def test_a_token_is_for_the_model_that_heard(seals: Seals[Position]) -> None:
    with pytest.raises(errors.InvalidArgumentError) as caught:
        position.opened(Config(resume_token=seals.seal(WHERE)), "large", seals)
    assert _refused(caught) == ("RESUME_TOKEN_OTHER_MODEL", "streaming_config.resume_token")

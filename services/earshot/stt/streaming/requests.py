"""A stream's messages as the session takes them; what is wrong is refused, with the field's name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from google.protobuf.duration_pb2 import Duration

from earshot import errors
from earshot.audio.formats import AudioFormat
from earshot.gen.v1 import speech_pb2, streaming_pb2
from earshot.rpc.streams import misplaced
from earshot.stt import requests
from earshot.stt.streaming.wire import Endpointing
from earshot.stt.types import NO_RULES, ModelInfo, RecognitionOptions, Rules

_CONFIG: Final = "streaming_config.config"
_ENDPOINTING: Final = "streaming_config.streaming_features.endpointing"
MAX_CHUNK_BYTES: Final = 1024 * 1024

Requests = AsyncIterator[speech_pb2.StreamingRecognizeRequest]


@dataclass(frozen=True, slots=True)
class Order:
    """How a stream wants to be heard and answered."""

    audio_format: AudioFormat
    options: RecognitionOptions
    endpointing: Endpointing
    interims: bool
    events: bool
    encoded_anew: bool  # after a break: the audio starts at what is committed
    field: str = _CONFIG


def order(
    config: speech_pb2.StreamingRecognitionConfig,
    model: ModelInfo,
    longest_segment: float,
    rules: Rules = NO_RULES,
) -> Order:
    """What ``config`` asks of ``model``, and the ``rules``. Raises ``InvalidArgumentError``."""
    features = config.streaming_features
    options = requests.options(config.config, model, rules, _CONFIG)
    return Order(
        audio_format=requests.audio_format(config.config, _CONFIG),
        options=replace(options, goes_on=True),
        endpointing=_endpointing(features.endpointing, longest_segment),
        # They would say what is not yet known to be personal.
        interims=features.interim_results and not options.redact,
        events=features.voice_activity_events,
        encoded_anew=bool(config.resume_token) and config.audio_from_committed_offset,
    )


def chunk(message: speech_pb2.StreamingRecognizeRequest) -> streaming_pb2.AudioChunk:
    """The audio of a message that is not the first. Raises ``InvalidArgumentError``."""
    kind = message.WhichOneof("streaming_request")
    if kind != "audio":
        raise misplaced(kind, "for another config begin another stream")
    if len(message.audio.content) > MAX_CHUNK_BYTES:
        raise errors.InvalidArgumentError(
            f"a chunk of {len(message.audio.content)} bytes: send at most {MAX_CHUNK_BYTES}, best 100 ms",
            reason="CHUNK_TOO_LARGE",
            field="audio.content",
        )
    return message.audio


def _endpointing(asked: streaming_pb2.EndpointingConfig, longest_segment: float) -> Endpointing:
    default = Endpointing()
    end_silence = _within(asked, "end_silence", default.end_silence, 0.1, 5.0)
    return Endpointing(
        end_silence=end_silence,
        max_segment=_within(
            asked, "max_segment", min(default.max_segment, longest_segment), 2.0, longest_segment
        ),
        pre_roll=_within(asked, "pre_roll", default.pre_roll, 0.0, 2.0),
        post_roll=_within(asked, "post_roll", min(default.post_roll, end_silence), 0.0, end_silence),
    )


def _within(
    asked: streaming_pb2.EndpointingConfig, name: str, default: float, least: float, most: float
) -> float:
    """A duration in seconds, or its default. Raises ``InvalidArgumentError`` outside the bounds."""
    if not asked.HasField(name):  # type: ignore[arg-type]  # the stubs want literals
        return default
    value: Duration = getattr(asked, name)
    seconds = value.seconds + value.nanos / 1e9
    if not least <= seconds <= most:
        raise errors.InvalidArgumentError(
            f"{name} is {seconds:g} s; it can be {least:g} s to {most:g} s"
            + (", the end_silence" if name == "post_roll" else ""),
            reason="ENDPOINTING_OUT_OF_RANGE",
            field=f"{_ENDPOINTING}.{name}",
        )
    return seconds

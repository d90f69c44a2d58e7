"""A caller of live streams who keeps to the protocol by hand, one message at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf.duration_pb2 import Duration

from earshot.audio.decoding import decode_all
from earshot.audio.formats import AudioFormat
from earshot.audio.limits import AudioLimits
from earshot.gen.v1 import audio_pb2, speech_pb2, streaming_pb2
from earshot.local.samples import recordings
from earshot.stt.types import SAMPLE_RATE, Samples
from tests.unit.audio.making import encoded

Config = speech_pb2.StreamingRecognitionConfig
Request = speech_pb2.StreamingRecognizeRequest
Response = speech_pb2.StreamingRecognizeResponse
Explicit = audio_pb2.ExplicitDecodingConfig


def clip(name: str) -> Samples:
    """A recording that is shipped, at 16 kHz."""
    (path,) = (one.content for one in recordings() if str(one.content).endswith(name))
    assert not isinstance(path, str)
    return decode_all(path.read_bytes(), AudioFormat(), AudioLimits())


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def talk() -> Samples:
    """About half a minute: speech that must be cut, pauses short and long, and a broken frame at the end."""
    parts = [
        silence(0.7),
        clip("ask-not.flac"),
        silence(1.0),
        clip("block-books.opus")[: 4 * SAMPLE_RATE],
        silence(9.0),
        clip("formal-review.wav")[: 4 * SAMPLE_RATE + 77],
    ]
    return np.concatenate(parts)


def raw(
    encoding: Explicit.AudioEncoding.ValueType, rate: int, channels: int = 1
) -> audio_pb2.RecognitionConfig:
    """The config of samples without a header."""
    explicit = Explicit(encoding=encoding, sample_rate_hertz=rate, audio_channel_count=channels)
    return audio_pb2.RecognitionConfig(explicit_decoding_config=explicit)


PCM = raw(Explicit.AUDIO_ENCODING_LINEAR16, SAMPLE_RATE)


def seconds(value: float) -> Duration:
    nanos = round(value * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def config(recognition: audio_pb2.RecognitionConfig = PCM, **features: Any) -> Config:
    """Of a stream whose stretches are short."""
    how = streaming_pb2.EndpointingConfig(end_silence=seconds(0.4), max_segment=seconds(4))
    return Config(
        config=recognition, streaming_features=streaming_pb2.StreamingFeatures(endpointing=how, **features)
    )


def cut(data: bytes, size: int = 3200) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def upsampled(samples: Samples, times: int) -> Samples:
    at = np.arange(len(samples) * times) / times
    return np.rint(np.interp(at, np.arange(len(samples)), samples)).astype(np.int16)


def studio(samples: Samples) -> bytes:
    """48 kHz stereo."""
    return np.repeat(upsampled(samples, 3), 2).tobytes()


def telephone(samples: Samples) -> bytes:
    """8 kHz mu-law."""
    return encoded("mulaw", "pcm_mulaw", samples[::2] / 32767, 8000)


def flac(samples: Samples) -> bytes:
    return encoded("flac", "flac", samples / 32767, SAMPLE_RATE) if len(samples) else b""


def requests(first: Config, chunks: Sequence[bytes], number: int = 1) -> list[Request]:
    """The messages of a connection, whose first chunk has ``number``."""
    audio = [
        Request(audio=streaming_pb2.AudioChunk(content=content, sequence_number=at))
        for at, content in enumerate(chunks, number)
    ]
    return [Request(streaming_config=first), *audio]


@dataclass
class Heard:
    """What a stream has said, over all its connections."""

    messages: list[Response] = field(default_factory=list)

    @property
    def finals(self) -> list[tuple[str, float, float]]:
        """Text, start and end of each."""
        return [_plain(result) for one in self.messages for result in one.results if result.is_final]

    @property
    def text(self) -> str:
        return " ".join(text for text, _, _ in self.finals)

    @property
    def languages(self) -> list[str]:
        """Of each final."""
        return [result.language_code for one in self.messages for result in one.results if result.is_final]

    @property
    def tokens(self) -> list[streaming_pb2.StreamAcknowledgement]:
        """The acknowledgements that one can go on from."""
        return [one.acknowledgement for one in self.messages if one.acknowledgement.resume_token]

    @property
    def events(self) -> list[tuple[int, float]]:
        return [(event.kind, at(event.offset)) for one in self.messages for event in one.events]

    @property
    def summary(self) -> streaming_pb2.StreamSummary:
        assert self.messages[-1].HasField("summary")
        return self.messages[-1].summary


def _plain(result: audio_pb2.SpeechRecognitionResult) -> tuple[str, float, float]:
    start, end = at(result.result_start_offset), at(result.result_end_offset)
    return result.alternatives[0].transcript, start, end


def at(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


@contextlib.asynccontextmanager
async def calling(service: Any, messages: Sequence[Request], *, end: bool = True) -> AsyncIterator[Any]:
    """A call that sends ``messages`` by the way, and is gone in the end."""
    call = service.speech.StreamingRecognize()
    sending = asyncio.create_task(_send(call, messages, end))
    try:
        yield call
    finally:
        sending.cancel()
        call.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(call: Any, messages: Sequence[Request], end: bool) -> None:
    for message in messages:
        await call.write(message)
    if end:
        await call.done_writing()


async def converse(service: Any, first: Config, chunks: Sequence[bytes], number: int = 1) -> Heard:
    """One connection to its end."""
    async with calling(service, requests(first, chunks, number)) as call:
        return Heard([message async for message in call])


Rest = Callable[[streaming_pb2.StreamAcknowledgement], tuple[int, Sequence[bytes]]]


async def converse_with_breaks(service: Any, first: Config, rest: Rest) -> Heard:
    """Breaks off at each message that can be gone on from, and goes on.

    ``rest`` gives what is to be sent after an acknowledgement: the first chunk's number, and the chunks.
    """
    heard, last = Heard(), streaming_pb2.StreamAcknowledgement(committed_sequence_number=1)
    while not heard.messages or not heard.messages[-1].HasField("summary"):
        again = Config()
        again.CopyFrom(first)
        again.resume_token = last.resume_token
        if not last.resume_token:
            again.audio_from_committed_offset = False
        async with calling(service, requests(again, *reversed(rest(last)))) as call:
            last = await _one_step(call, heard)
    return heard


async def _one_step(call: Any, heard: Heard) -> streaming_pb2.StreamAcknowledgement:
    """Reads up to the next token after that of the start, or to the summary."""
    opening = await call.read()
    last = opening.acknowledgement
    while (message := await call.read()) is not grpc.aio.EOF:
        heard.messages.append(message)
        if message.acknowledgement.resume_token:
            return message.acknowledgement  # type: ignore[no-any-return]
    return last  # type: ignore[no-any-return]

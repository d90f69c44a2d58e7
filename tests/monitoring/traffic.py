"""Mixed calls as several clients make them, and what was sent and came back, to the call and to the byte."""

from __future__ import annotations

import asyncio
import wave
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from earshot.client import AsyncClient, Final, Interim
from earshot.gen.v1 import audio_pb2, classification_pb2, classification_pb2_grpc, speech_pb2, speech_pb2_grpc
from earshot.local import samples
from tests.rpc.clips import wav_of

CLIENTS = ("app", "batch")
SAMPLES = Path(samples.__file__).parent
TEXTS = ("a goal in the last minute", "boil the eggs for six minutes")
CONFIG = classification_pb2.ClassificationConfig(candidate_labels=["sport", "cooking", "history of printing"])
RATE = 16_000
CHUNK = 3200  # bytes: 100 ms
# More callers at once than the replicas and their queues hold, so that some are turned away.
CROWD = 12


@dataclass
class Ledger:
    """What the callers saw."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)  # by method and status
    sent_bytes: Counter[str] = field(default_factory=Counter)  # of messages, by method
    received_bytes: Counter[str] = field(default_factory=Counter)  # of responses, by method
    messages: Counter[str] = field(default_factory=Counter)  # of both, by method
    direct: int = 0  # streams that went past Envoy

    def of(self, method: str) -> int:
        return sum(count for (one, _), count in self.calls.items() if one == method)


class Callers:
    """Several clients on one connection."""

    def __init__(self, channel: grpc.aio.Channel, replicas: list[str], ledger: Ledger) -> None:
        """``replicas``: where those are that take streams."""
        self._replicas, self._ledger = replicas, ledger
        speech = speech_pb2_grpc.SpeechToTextStub(channel)
        texts = classification_pb2_grpc.ZeroShotClassifierStub(channel)
        self._methods: dict[type, tuple[str, Callable[..., Any]]] = {
            speech_pb2.RecognizeRequest: ("Recognize", speech.Recognize),
            speech_pb2.SpeechToTextListModelsRequest: ("ListModels", speech.ListModels),
            classification_pb2.ClassifyRequest: ("Classify", texts.Classify),
            classification_pb2.ClassifySpeechRequest: ("ClassifySpeech", texts.ClassifySpeech),
            classification_pb2.ZeroShotClassifierListModelsRequest: ("ListModels", texts.ListModels),
        }
        self._streams: dict[type, tuple[str, Callable[..., Any]]] = {
            speech_pb2.StreamingRecognizeRequest: ("StreamingRecognize", speech.StreamingRecognize),
            classification_pb2.StreamingClassifySpeechRequest: (
                "StreamingClassifySpeech",
                texts.StreamingClassifySpeech,
            ),
        }

    async def call(self, request: Any, client: str, *metadata: tuple[str, str]) -> None:
        """One call, entered in the ledger whatever comes of it."""
        name, method = self._methods[type(request)]
        self._ledger.sent_bytes[name] += request.ByteSize()
        try:
            said = (("x-earshot-client", client), *metadata)
            response = await method(request, timeout=60, metadata=said)
        except grpc.aio.AioRpcError as exc:
            self._ledger.calls[name, exc.code().name] += 1
            return
        self._ledger.calls[name, "OK"] += 1
        self._ledger.received_bytes[name] += response.ByteSize()

    async def stream(self, kind: type, client: str, *metadata: tuple[str, str]) -> None:
        """A whole stream, entered in the ledger whatever comes of it."""
        name, method = self._streams[kind]
        said = (("x-earshot-client", client), *metadata)
        responses = method(self._sent(name, kind), timeout=60, metadata=said)
        try:
            async for response in responses:
                self._ledger.received_bytes[name] += response.ByteSize()
                self._ledger.messages[name] += 1
        except grpc.aio.AioRpcError as exc:
            self._ledger.calls[name, exc.code().name] += 1
            return
        self._ledger.calls[name, "OK"] += 1

    async def _sent(self, name: str, kind: type) -> AsyncIterator[Any]:
        for message in chunks(kind):
            self._ledger.sent_bytes[name] += message.ByteSize()
            self._ledger.messages[name] += 1
            yield message

    async def round(self) -> None:
        """Each kind of call, one after the other, then many at once."""
        for client in (*CLIENTS, "somebody"):
            for request in requests():
                await self.call(request, client)
        # By their clients' names the figures of these two, and of those past Envoy, can be told apart.
        await self.stream(speech_pb2.StreamingRecognizeRequest, CLIENTS[1])
        await self.stream(classification_pb2.StreamingClassifySpeechRequest, "somebody")
        await asyncio.gather(*map(self.speak, self._replicas))
        clip = next(requests())
        crowd: list[Coroutine[Any, Any, None]] = [self.call(clip, CLIENTS[1]) for _ in range(CROWD)]
        await asyncio.gather(*crowd)

    async def speak(self, replica: str) -> None:
        """Speech as it is spoken, from one who wants to read along. At each replica, so that each has its
        series from the first round on, which the second one makes grow; past Envoy.
        """
        self._ledger.direct += 1
        caller = {"x-earshot-client": CLIENTS[0]}
        recording = next(SAMPLES.glob("*.wav"))
        async with (
            AsyncClient(replica, metadata=caller) as client,
            client.stream(recording, realtime=True) as stream,
        ):
            kinds = [type(event) async for event in stream]
            await client.send_list_models(timeout=20)
        assert {Interim, Final} <= set(kinds)


def requests() -> Iterator[Any]:
    """Every method, codec and kind of mistake."""
    samples_only = pcm()
    yield speech_pb2.RecognizeRequest(content=wav_of(samples_only))
    yield speech_pb2.RecognizeRequest(content=wav_of(bytes(4 * RATE)))  # two seconds of silence
    explicit = audio_pb2.ExplicitDecodingConfig
    raw = explicit(encoding=explicit.AUDIO_ENCODING_LINEAR16, sample_rate_hertz=RATE)
    config = audio_pb2.RecognitionConfig(explicit_decoding_config=raw)
    yield speech_pb2.RecognizeRequest(config=config, content=samples_only)
    opus = next(SAMPLES.glob("*.opus")).read_bytes()
    yield speech_pb2.RecognizeRequest(content=opus)
    yield speech_pb2.RecognizeRequest(content=b"<html>no audio</html>")
    yield speech_pb2.SpeechToTextListModelsRequest()
    yield classification_pb2.ClassifyRequest(inputs=[{"text": text} for text in TEXTS], config=CONFIG)
    yield classification_pb2.ClassifyRequest(config=CONFIG)  # without a text
    yield classification_pb2.ClassifySpeechRequest(content=wav_of(samples_only), classification_config=CONFIG)
    yield classification_pb2.ZeroShotClassifierListModelsRequest()


def chunks(kind: type) -> Iterator[Any]:
    """A second of speech as a stream."""
    explicit = audio_pb2.ExplicitDecodingConfig
    raw = explicit(encoding=explicit.AUDIO_ENCODING_LINEAR16, sample_rate_hertz=RATE)
    heard = audio_pb2.RecognitionConfig(explicit_decoding_config=raw)
    if kind is speech_pb2.StreamingRecognizeRequest:
        yield kind(streaming_config={"config": heard})
    else:
        yield kind(streaming_config={"recognition_config": heard, "classification_config": CONFIG})
    samples_only = pcm()
    for number, start in enumerate(range(0, len(samples_only), CHUNK), 1):
        yield kind(audio={"content": samples_only[start : start + CHUNK], "sequence_number": number})


def pcm() -> bytes:
    """A second of speech, as samples: short, so that many calls take little time."""
    with wave.open(str(next(SAMPLES.glob("*.wav")))) as reader:
        assert (reader.getframerate(), reader.getsampwidth(), reader.getnchannels()) == (RATE, 2, 1)
        return reader.readframes(RATE)

"""A service of streams that keeps the protocol to the letter and breaks when it is told to.

What it hears can be read from the samples: `spoken(n)` is n seconds, each of one value of its own, and
the final for each second names that value. Audio that is lost, doubled or misplaced shows in the text.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
import grpc
import numpy as np

from earshot.errors import EarshotError, InvalidArgumentError
from earshot.gen.v1 import classification_pb2 as text_pb2
from earshot.gen.v1 import classification_pb2_grpc, speech_pb2_grpc, streaming_pb2
from earshot.gen.v1 import speech_pb2 as pb
from earshot.rpc import status
from earshot.rpc.wire import duration

RATE = 16_000


def spoken(seconds: int, step: float = 1.0) -> bytes:
    """s16, mono, 16 kHz: second number k, from 1 on, has the value k * 100 in all its samples."""
    values = np.arange(1, seconds + 1, dtype="<i2") * 100
    return bytes(np.repeat(values, round(RATE * step)).tobytes())


def words(seconds: int) -> list[str]:
    """What is heard in `spoken`."""
    return [f"w{number}" for number in range(1, seconds + 1)]


@dataclass
class Break:
    """What befalls one connection once it has had so many chunks; 0: before the first message."""

    chunks: int
    error: EarshotError | None = None
    go_away: bool = False
    ends_well: bool = False  # OK, and no summary
    silent: bool = False  # nothing more is read or said
    code: tuple[grpc.StatusCode, str] | None = None  # a status without details, as a proxy gives it


@dataclass
class Connection:
    """What came in on one connection."""

    method: str
    config: Any
    numbers: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    relabelled: list[list[str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Service:
    """The script, and what happened."""

    breaks: deque[Break] = field(default_factory=deque)
    connections: list[Connection] = field(default_factory=list)
    repeats: bool = False  # says the last final again after a break, which a service must not
    commits: bool = True
    ends_badly: bool = False  # breaks once all has been said
    reading: threading.Event = field(default_factory=threading.Event)  # unset: it reads nothing
    target: str = ""

    def __post_init__(self) -> None:
        self.reading.set()

    def then(self, *breaks: Break) -> None:
        self.breaks.extend(breaks)


class Heard:
    """What one connection has heard: samples from where it goes on, second by second."""

    def __init__(self, config: Any, scores: bool) -> None:
        self.recognition = config.recognition_config if scores else config.config
        self.explicit = self.recognition.explicit_decoding_config
        self.is_raw = self.recognition.WhichOneof("decoding") == "explicit_decoding_config" and (
            self.explicit.encoding == self.explicit.AUDIO_ENCODING_LINEAR16
        )
        token = config.resume_token or "0:1:0:0"
        self.committed, self.sequence, self.chunk_start, self.finals = map(int, token.split(":"))
        self.from_committed = config.audio_from_committed_offset
        self.content = bytearray()
        self.starts: list[tuple[int, int]] = []  # number of each chunk, and the byte it starts at
        self.next_number = self.sequence
        # The byte of the samples that the content starts at.
        self.origin = self.committed * 2 if self.from_committed else self.chunk_start

    def take(self, number: int, content: bytes) -> None:
        if number != self.next_number:
            raise InvalidArgumentError(f"{number}, not {self.next_number}", reason="SEQUENCE_GAP")
        self.starts.append((number, self.origin + len(self.content)))
        self.next_number += 1
        self.content += content

    def samples(self) -> np.ndarray[Any, Any]:
        """What is to be heard from the committed sample on."""
        content = bytes(self.content) if self.is_raw else _decoded(bytes(self.content))
        ahead = content[self.committed * 2 - self.origin :]
        return np.frombuffer(ahead[: len(ahead) // 2 * 2], dtype="<i2")

    def commit(self, samples: int) -> str:
        self.committed += samples
        if self.is_raw:
            self.sequence, self.chunk_start = max(
                start for start in self.starts if start[1] <= self.committed * 2
            )
        return f"{self.committed}:{self.sequence}:{self.chunk_start}:{self.finals}"


def _decoded(content: bytes) -> bytes:
    samples = bytearray()
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    try:
        with av.open(io.BytesIO(content)) as container:
            for frame in container.decode(audio=0):
                for made in resampler.resample(frame):
                    samples += bytes(made.planes[0])[: made.samples * 2]
    except (av.FFmpegError, IndexError, EOFError):
        pass  # not whole yet
    return bytes(samples)


class Handler:
    """One connection."""

    def __init__(self, service: Service, context: Any, scores: bool) -> None:
        self.service, self.context, self.scores = service, context, scores
        self.response = text_pb2.StreamingClassifySpeechResponse if scores else pb.StreamingRecognizeResponse

    async def run(self, requests: Any) -> AsyncIterator[Any]:
        first = await anext(aiter(requests))
        fault = self._begin(first.streaming_config)
        if fault and not fault.chunks:
            await self._break(fault)
        for response in self._opening(first.streaming_config):
            yield response
        async for request in self._requests():
            async for response in self._take(request.audio):
                yield response
            if fault and len(self.connection.numbers) == fault.chunks:
                async for response in self._break_after(fault):
                    yield response
                return
        async for response in self._answers(last=True):
            yield response
        yield self._end()
        await self._close()

    def _begin(self, config: Any) -> Break | None:
        metadata = {key: str(value) for key, value in self.context.invocation_metadata()}
        method = "classify" if self.scores else "recognize"
        self.connection = Connection(method, config, metadata=metadata)
        self.service.connections.append(self.connection)
        self.heard = Heard(config, self.scores)
        self.events = config.streaming_features.voice_activity_events
        return self.service.breaks.popleft() if self.service.breaks else None

    def _opening(self, config: Any) -> Iterator[Any]:
        opening = self.response()
        self._acknowledge(opening, config.resume_token or "0:1:0:0")
        opening.acknowledgement.acked_sequence_number = 0
        yield opening
        if self.service.repeats and self.heard.finals:
            yield self._final(np.full(RATE, self.heard.finals * 100), self.heard.committed - RATE)

    async def _requests(self) -> AsyncIterator[Any]:
        while True:
            while not self.service.reading.is_set():
                await asyncio.sleep(0.01)
            request = await self.context.read()
            if request is grpc.aio.EOF:
                return
            if request.WhichOneof("streaming_request") == "classification_config":
                self.connection.relabelled.append(list(request.classification_config.candidate_labels))
            else:
                yield request

    async def _take(self, audio: Any) -> AsyncIterator[Any]:
        self.connection.numbers.append(audio.sequence_number)
        self.connection.sizes.append(len(audio.content))
        self.heard.take(audio.sequence_number, audio.content)
        async for response in self._answers(last=False):
            yield response

    async def _break_after(self, fault: Break) -> AsyncIterator[Any]:
        if fault.go_away:
            yield self._leaving()
            await asyncio.Event().wait()
        if not fault.ends_well:
            await self._break(fault)

    def _leaving(self) -> Any:
        leaving = self.response()
        leaving.go_away.time_left.CopyFrom(duration(5))
        return leaving

    def _end(self) -> Any:
        end = self.response()
        end.summary.audio_received.CopyFrom(duration(self.heard.committed / RATE))
        end.summary.finals_sent, end.summary.complete = self.heard.finals, True
        return end

    async def _answers(self, *, last: bool) -> AsyncIterator[Any]:
        samples = self.heard.samples()
        whole = len(samples) // RATE * RATE
        for at in range(0, len(samples) if last else whole, RATE):
            start, second = self.heard.committed, samples[at : at + RATE]
            self.heard.finals += 1
            response = self._final(second, start)
            token = self.heard.commit(len(second))
            if self.service.commits:
                self._acknowledge(response, token)
            yield response
        acknowledged = self.response()
        acknowledged.acknowledgement.acked_sequence_number = self.heard.next_number - 1
        yield acknowledged
        if len(samples) > whole and not last:
            yield self._interim()

    def _final(self, second: Any, start: int) -> Any:
        response = self.response()
        result = response.results.add(is_final=True, language_code="en")
        result.result_start_offset.CopyFrom(duration(start / RATE))
        result.result_end_offset.CopyFrom(duration((start + max(len(second), 1)) / RATE))
        heard = sorted({round(int(value) / 100) for value in second})
        text = "-".join(f"w{value}" for value in heard)
        best = result.alternatives.add(transcript=text)
        if self.heard.recognition.features.enable_word_time_offsets:
            word = best.words.add(word=text)
            word.start_offset.CopyFrom(result.result_start_offset)
            word.end_offset.CopyFrom(result.result_end_offset)
        if self.scores:
            response.segment_classification.labels.add(label="a", score=0.75)
            response.conversation_classification.labels.add(label="b", score=0.5)
            response.recognition_metadata.replica = "stt-1"
        else:
            response.metadata.replica = "stt-1"
        return response

    def _interim(self) -> Any:
        response = self.response()
        for text, stability in (("so", 0.9), ("far", 0.1)):
            result = response.results.add(stability=stability)
            result.alternatives.add(transcript=text)
        if self.events:
            event = response.events.add(kind=streaming_pb2.SpeechEvent.KIND_SPEECH_STARTED)
            event.offset.CopyFrom(duration(self.heard.committed / RATE))
        return response

    def _acknowledge(self, response: Any, token: str) -> None:
        ack = response.acknowledgement
        ack.resume_token, ack.committed_sequence_number = token, self.heard.sequence
        ack.committed_offset.CopyFrom(duration(self.heard.committed / RATE))
        ack.acked_sequence_number = self.heard.next_number - 1

    async def _close(self) -> None:
        if self.service.ends_badly:
            await self.context.abort(grpc.StatusCode.UNAVAILABLE, "reset after the last word")

    async def _break(self, fault: Break) -> None:
        if fault.silent:
            await asyncio.Event().wait()
        if fault.code:
            await self.context.abort(*fault.code)
        assert fault.error
        await self.context.abort_with_status(status.to_grpc_status(fault.error))


class SpeechToText(speech_pb2_grpc.SpeechToTextServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    async def StreamingRecognize(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        async for response in _told(Handler(self._service, context, scores=False), request_iterator):
            yield response


class ZeroShotClassifier(classification_pb2_grpc.ZeroShotClassifierServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    async def StreamingClassifySpeech(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        async for response in _told(Handler(self._service, context, scores=True), request_iterator):
            yield response


async def _told(handler: Handler, requests: Any) -> AsyncIterator[Any]:
    try:
        async for response in handler.run(requests):
            yield response
    except EarshotError as error:
        await handler.context.abort_with_status(status.to_grpc_status(error))


async def _serve(service: Service, ready: threading.Event, stop: threading.Event) -> None:
    server = grpc.aio.server()
    speech_pb2_grpc.add_SpeechToTextServicer_to_server(SpeechToText(service), server)
    classification_pb2_grpc.add_ZeroShotClassifierServicer_to_server(ZeroShotClassifier(service), server)
    service.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    ready.set()
    while not stop.is_set():
        await asyncio.sleep(0.02)
    await server.stop(None)


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    """The service behind a free port, on a loop of its own."""
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(service, ready, stop)))
    thread.start()
    try:
        assert ready.wait(20)
        yield service
    finally:
        stop.set()
        service.reading.set()
        thread.join()

"""The task of a listener process: audio as it comes in, stretches of speech out.

It holds the state of many streams: their decoders, and the audio that is not yet final. When the
process dies they are gone, and its streams with them; their callers go on by their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from earshot.audio.limits import LiveLimits
from earshot.audio.live import LiveDecoder
from earshot.audio.memory import bound_memory
from earshot.runtime.blobs import Blob
from earshot.runtime.confinement import confine
from earshot.runtime.task import Cancelled, Fault, Job, Result, one_by_one
from earshot.stt.speech_segments import SpeechDetector
from earshot.stt.streaming import wire
from earshot.stt.streaming.endpointing import Endpointer
from earshot.stt.types import Samples


class ListenTask:
    """A job's body is one of ``wire.ToListener``; the result's is ``wire.Heard``, its blob s16 samples."""

    info = b""

    def __init__(self, limits: LiveLimits) -> None:
        self._limits = limits
        self._detector = SpeechDetector()
        self._streams: dict[int, _Stream] = {}

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """Each message by itself. None is cut short: it is part of a stream's history."""
        return one_by_one(self._answer, jobs)

    def _answer(self, job: Job) -> tuple[bytes, Blob | None]:
        message = wire.decode_to_listener(job.body)
        if isinstance(message, wire.Open):
            self._streams[message.stream] = _Stream.opened(message, self._detector, self._limits)
            return wire.encode(wire.Heard()), None
        stream = self._streams.get(message.stream)
        if isinstance(message, wire.Close):
            self._close(message.stream)
            return wire.encode(wire.Heard()), None
        if stream is None:
            raise wire.lost()
        if isinstance(message, wire.Peek):
            return stream.peek()
        return stream.push(message.data or job.blob, last=message.last)

    def _close(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream:
            stream.decoder.close()


@dataclass(slots=True)
class _Stream:
    """One stream, from its bytes to its stretches."""

    decoder: LiveDecoder
    endpointer: Endpointer
    skip: int  # samples that are final already, at the start of what the decoder gives
    finished: bool = False  # no bytes will come

    @classmethod
    def opened(cls, message: wire.Open, detector: SpeechDetector, limits: LiveLimits) -> _Stream:
        decoder = LiveDecoder(message.audio_format, limits, field=message.field)
        endpointer = Endpointer(detector, message.endpointing, message.origin, message.keep_from)
        return cls(decoder, endpointer, message.origin - message.base)

    def push(self, data: bytes | memoryview, *, last: bool) -> tuple[bytes, Blob | None]:
        """Hears ``data``, and gives the first stretch that has ended, if any."""
        if len(data):
            self._take(self.decoder.push(data))
        if last and not self.finished:
            self.finished = True
            self._take(self.decoder.finish())
        return self._said(next(self.endpointer.spans(last=last), None))

    def peek(self) -> tuple[bytes, Blob | None]:
        """Gives the stretch that goes on."""
        return self._said(self.endpointer.going_on())

    def _take(self, samples: Samples) -> None:
        dropped = min(self.skip, len(samples))
        self.skip -= dropped
        if len(samples) > dropped:
            self.endpointer.push(samples[dropped:])

    def _said(self, found: tuple[wire.Span, Samples] | None) -> tuple[bytes, Blob | None]:
        ears = self.endpointer
        span, samples = found or (None, None)
        events, ears.events = ears.events, []
        heard = wire.Heard(
            ears.received, ears.origin, ears.keep_from, ears.speaking, ears.spoken, events, span
        )
        return wire.encode(heard), None if samples is None else Blob.of(samples.data.cast("B"))


def make(options: dict[str, str]) -> ListenTask:
    """``headroom`` is the memory that decoding may take, in bytes; the rest are ``LiveLimits``."""
    rest = dict(options)
    bound_memory(int(rest.pop("headroom")))
    task = ListenTask(LiveLimits(**{name: float(value) for name, value in rest.items()}))
    confine()
    return task

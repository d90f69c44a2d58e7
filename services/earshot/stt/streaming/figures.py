"""What a stream counts: its audio, and how late its words come."""

from __future__ import annotations

import time

from earshot.runtime import calls
from earshot.runtime.batching import Outcome
from earshot.runtime.calls import Stage
from earshot.runtime.metrics import Metrics
from earshot.stt.streaming.wire import Heard, Span
from earshot.stt.types import SAMPLE_RATE

_SAMPLE_BYTES = 2


class Figures:
    """Of one connection."""

    def __init__(self, metrics: Metrics, received: int) -> None:
        """``received``: samples that earlier connections have counted."""
        self._metrics = metrics
        self._call = calls.current()
        self._received = received
        self._speaking_since: float | None = None  # by time.monotonic; None: nobody speaks
        self._unacknowledged_since: float | None = None  # by time.monotonic; None: all has been
        self._shown = False  # words of the stretch that goes on have been

    def chunk(self) -> None:
        """A chunk has come."""
        if self._unacknowledged_since is None:
            self._unacknowledged_since = time.monotonic()

    def acknowledged(self) -> None:
        """All chunks that have come are about to be acknowledged."""
        if self._unacknowledged_since is not None:
            self._metrics.acknowledgement_seconds.observe(time.monotonic() - self._unacknowledged_since)
            self._unacknowledged_since = None

    def encoded(self, size: int) -> None:
        """So many bytes of audio have been heard."""
        self._metrics.audio_bytes.labels(self._call.codec, self._call.client).inc(size)

    def heard(self, heard: Heard) -> None:
        """The listener has got so far."""
        samples = max(0, heard.received - self._received)
        self._received += samples
        labels = (self._call.codec, self._call.client)
        self._call.audio_seconds += samples / SAMPLE_RATE
        self._metrics.audio_seconds.labels(*labels).inc(samples / SAMPLE_RATE)
        self._metrics.decoded_bytes.labels(*labels).inc(samples * _SAMPLE_BYTES)
        if not heard.speaking or heard.span:
            self._speaking_since, self._shown = None, False
        elif self._speaking_since is None:
            self._speaking_since = time.monotonic()

    def interim(self) -> None:
        """Words of the stretch that goes on have been said."""
        if self._speaking_since is not None and not self._shown:
            self._metrics.first_interim_seconds.observe(time.monotonic() - self._speaking_since)
            self._shown = True

    def silence(self, samples: int) -> None:
        """So much audio is done with that no engine has heard."""
        self._metrics.silence_skipped_seconds.labels(self._call.client).inc(max(0, samples) / SAMPLE_RATE)

    def final(self, span: Span, outcome: Outcome, seconds: float) -> None:
        """A stretch has been given out, ``seconds`` after its end was seen."""
        self._call.spend(Stage.QUEUE, outcome.queue_seconds, before=outcome.work_seconds)
        self._call.spend(Stage.INFERENCE, outcome.work_seconds)
        self._metrics.final_seconds.observe(seconds)
        self._metrics.speech_seconds.labels(self._call.client).inc(span.seconds)
        self._metrics.real_time_factor.observe(outcome.work_seconds / span.seconds)

"""From a clip's bytes to its transcript: decoded in one process, heard in another."""

from __future__ import annotations

from dataclasses import dataclass

from earshot.audio.formats import AudioFormat
from earshot.runtime.admission import Admission
from earshot.runtime.batching import Outcome
from earshot.runtime.blobs import Blob
from earshot.runtime.metrics import Metrics
from earshot.runtime.pool import Pool
from earshot.stt import wire
from earshot.stt.types import ModelInfo, RecognitionOptions, Transcript


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in seconds."""

    decode: float
    queue: float
    inference: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was heard, in how much audio, and where the time went."""

    transcript: Transcript
    audio_seconds: float
    timings: Timings


class Transcriber:
    """The core of the service: it knows neither gRPC nor an engine."""

    def __init__(self, decoders: Pool, engines: Pool, admission: Admission, metrics: Metrics) -> None:
        self._decoders, self._engines = decoders, engines
        self._admission, self._metrics = admission, metrics
        self.model: ModelInfo | None = None  # until it is loaded

    async def start(self) -> None:
        """Starts the processes and loads the model. Raises what keeps it from loading."""
        await self._decoders.start()
        await self._engines.start()
        self.model = wire.decode_info(self._engines.info)

    async def stop(self) -> None:
        """Ends the processes; what is still at work fails with ``UnavailableError``."""
        await self._engines.stop()
        await self._decoders.stop()

    async def transcribe(
        self, content: bytes, audio_format: AudioFormat, options: RecognitionOptions, deadline: float
    ) -> Recognition:
        """Writes down a clip. ``deadline`` is by ``time.monotonic``.

        Raises ``ResourceExhaustedError`` when the service is full, ``InvalidArgumentError`` or
        ``OutOfRangeError`` for audio that cannot be taken, ``DeadlineExceededError``, and
        ``UnavailableError`` when workers died on it.
        """
        with self._admission.permit(len(content)):
            decoded = await self._decode(content, audio_format, deadline)
            seconds = wire.decode_seconds(decoded.body)
            self._metrics.audio_seconds.inc(seconds)
            heard = await self._hear(decoded, options, deadline)
        return Recognition(wire.decode_transcript(heard.body), seconds, self._timed(decoded, heard))

    async def _decode(self, content: bytes, audio_format: AudioFormat, deadline: float) -> Outcome:
        with Blob.of(content) as file:
            return await self._decoders.submit(wire.encode(audio_format), file, deadline)

    async def _hear(self, decoded: Outcome, options: RecognitionOptions, deadline: float) -> Outcome:
        with decoded.blob or Blob.empty() as samples:
            heard = await self._engines.submit(wire.encode(options), samples, deadline)
        self._admission.observe(heard.work_seconds)
        return heard

    def _timed(self, decoded: Outcome, heard: Outcome) -> Timings:
        timings = Timings(
            decode=decoded.work_seconds,
            queue=decoded.queue_seconds + heard.queue_seconds,
            inference=heard.work_seconds,
        )
        for stage in ("decode", "queue", "inference"):
            self._metrics.stage_seconds.labels(stage).observe(getattr(timings, stage))
        return timings

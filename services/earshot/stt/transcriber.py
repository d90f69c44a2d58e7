"""From a clip's bytes to its transcript."""

from __future__ import annotations

from dataclasses import dataclass

from earshot.audio.formats import AudioFormat
from earshot.quotas.meter import Meter
from earshot.quotas.types import Unit, milliseconds
from earshot.runtime import calls
from earshot.runtime.admission import Admission
from earshot.runtime.batching import Outcome
from earshot.runtime.blobs import Blob
from earshot.runtime.calls import Stage
from earshot.runtime.metrics import Metrics
from earshot.runtime.pool import Pool
from earshot.stt import wire
from earshot.stt.sampling import Sampling
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

    def __init__(
        self, sampling: Sampling, engines: Pool, admission: Admission, meter: Meter, metrics: Metrics
    ) -> None:
        self._sampling, self._engines = sampling, engines
        self._admission, self._meter, self._metrics = admission, meter, metrics
        self.model: ModelInfo | None = None  # until it is loaded

    async def start(self) -> None:
        """Starts the processes and loads the model. Raises what keeps it from loading."""
        await self._sampling.start()
        await self._engines.start()
        self.model = model = wire.decode_info(self._engines.info)
        self._metrics.model.info({"engine": model.engine, "model": model.name, "version": model.version})

    async def stop(self) -> None:
        """Ends the processes; what is still at work fails with ``UnavailableError``."""
        await self._engines.stop()
        await self._sampling.stop()

    async def transcribe(
        self, content: bytes, audio_format: AudioFormat, options: RecognitionOptions, deadline: float
    ) -> Recognition:
        """Writes down a clip. ``deadline`` is by ``time.monotonic``.

        Raises ``ResourceExhaustedError`` when the service is full or a quota used up,
        ``InvalidArgumentError`` or ``OutOfRangeError`` for audio that cannot be taken,
        ``DeadlineExceededError``, and ``InternalError`` when workers died on it.
        """
        await self._meter.check(Unit.AUDIO, content)
        with self._admission.permit(len(content)):
            decoded = await self._sampling.samples(content, audio_format, deadline)
            _spend(decoded, Stage.DECODE)
            with decoded.blob or Blob.empty() as samples:
                seconds = wire.decode_seconds(decoded.body)
                self._count_audio(seconds, len(content), decoded)
                async with self._meter.paying(Unit.AUDIO, self._name, milliseconds(seconds), content):
                    heard = await self._hear(samples, options, deadline)
        recognition = Recognition(wire.decode_transcript(heard.body), seconds, _timed(decoded, heard))
        self._count_speech(recognition)
        return recognition

    @property
    def _name(self) -> str:
        return self.model.name if self.model else ""

    async def _hear(self, samples: Blob, options: RecognitionOptions, deadline: float) -> Outcome:
        heard = await self._engines.submit(wire.encode(options), samples, deadline)
        self._admission.observe(heard.work_seconds)
        _spend(heard, Stage.INFERENCE)
        return heard

    def _count_audio(self, seconds: float, encoded: int, decoded: Outcome) -> None:
        call = calls.current()
        call.audio_seconds += seconds
        self._metrics.audio_seconds.labels(call.codec, call.client).inc(seconds)
        self._metrics.audio_bytes.labels(call.codec, call.client).inc(encoded)
        size = decoded.blob.size if decoded.blob else 0
        self._metrics.decoded_bytes.labels(call.codec, call.client).inc(size)

    def _count_speech(self, recognition: Recognition) -> None:
        client, timings = calls.current().client, recognition.timings
        transcript = recognition.transcript
        self._metrics.speech_seconds.labels(client).inc(transcript.speech_seconds)
        self._metrics.silence_skipped_seconds.labels(client).inc(transcript.skipped_seconds)
        at_work = timings.decode + timings.inference
        self._metrics.real_time_factor.observe(at_work / recognition.audio_seconds)


def _spend(outcome: Outcome, stage: Stage) -> None:
    call = calls.current()
    call.spend(Stage.QUEUE, outcome.queue_seconds, before=outcome.work_seconds)
    call.spend(stage, outcome.work_seconds)


def _timed(decoded: Outcome, heard: Outcome) -> Timings:
    return Timings(
        decode=decoded.work_seconds,
        queue=decoded.queue_seconds + heard.queue_seconds,
        inference=heard.work_seconds,
    )

"""Our own edge with nothing behind it: the speech service's server, interceptors, checks and messages.

    EARSHOT_PORT=50051 python -m benchmarks.peers.bare_edge

The core answers at once, as the FastAPI peer does without an engine, so that what is left is the wire.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from earshot.audio.formats import AudioFormat
from earshot.gen.v1 import speech_pb2_grpc
from earshot.runtime import logs
from earshot.runtime.health import Health
from earshot.runtime.metrics import Metrics
from earshot.runtime.reflection import SPEECH_TO_TEXT
from earshot.runtime.server import RUNNING, Server, Service
from earshot.runtime.settings import read
from earshot.stt.servicer import ServicerOptions, SpeechToTextServicer
from earshot.stt.settings import SpeechSettings
from earshot.stt.transcriber import Recognition, Timings
from earshot.stt.types import ModelInfo, RecognitionOptions, Segment, Transcript


class Instant:
    """A core that has heard nothing."""

    model = ModelInfo("none", "none", ("en",), ())

    async def transcribe(
        self, content: bytes, audio_format: AudioFormat, options: RecognitionOptions, deadline: float
    ) -> Recognition:
        """As :class:`earshot.stt.transcriber.Transcriber`."""
        seconds = len(content) / 32_000
        heard = Transcript((Segment("nothing was heard", 0.0, seconds),), "en")
        return Recognition(heard, seconds, Timings(0.0, 0.0, 0.0))


async def serve() -> None:
    """Until a signal."""
    settings = read(SpeechSettings)
    logs.configure(settings.log_level, "stt", "edge")
    metrics, health = Metrics("stt"), Health(SPEECH_TO_TEXT, RUNNING)
    servicer = SpeechToTextServicer(
        cast("Any", Instant()), cast("Any", None), ServicerOptions.of(settings, "")
    )

    async def nothing() -> None:
        pass

    def register(server: Any) -> None:  # noqa: ANN401 - grpc has no types
        speech_pb2_grpc.add_SpeechToTextServicer_to_server(servicer, server)

    await Server(settings, metrics, health).run(Service(register, nothing, nothing))


if __name__ == "__main__":
    asyncio.run(serve())

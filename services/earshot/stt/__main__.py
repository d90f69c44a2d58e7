"""The speech-to-text service: ``python -m earshot.stt``; ``--help`` lists its settings."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial

import grpc

from earshot.gen.v1 import speech_pb2_grpc, usage_pb2_grpc
from earshot.quotas.meter import Meter
from earshot.quotas.usage import UsageServicer
from earshot.rpc.limits import MEBIBYTE
from earshot.runtime.admission import Admission, AdmissionLimits
from earshot.runtime.draining import Draining
from earshot.runtime.health import Health
from earshot.runtime.launch import announce_engine, launch
from earshot.runtime.messages import TaskSpec
from earshot.runtime.metrics import Metrics
from earshot.runtime.observed import observed_pool
from earshot.runtime.pool import Pool
from earshot.runtime.pool_options import PoolOptions
from earshot.runtime.reflection import SPEECH_TO_TEXT
from earshot.runtime.seals import KeyRing, Seals
from earshot.runtime.server import RUNNING, Server, Service
from earshot.stt.engines.selection import Selection, select
from earshot.stt.sampling import Sampling
from earshot.stt.servicer import ServicerOptions, SpeechToTextServicer
from earshot.stt.settings import SpeechSettings
from earshot.stt.streaming.listeners import Listeners
from earshot.stt.streaming.position import TOKEN_FIELD, Position
from earshot.stt.streaming.service import StreamOptions, Streams
from earshot.stt.streaming.session import Hearing, SessionLimits
from earshot.stt.transcriber import Transcriber

_DECODERS, _ENGINES = "decoders", "engines"
_LISTENING = "earshot.stt.streaming.listen_task:make"
_TOGETHER = 64  # messages that a listener takes at once
_PURPOSE = "StreamingRecognize"  # of the resume tokens that are sealed here


async def serve(settings: SpeechSettings) -> None:
    """Picks the engine and runs the service until a signal."""
    await run(settings, select(settings.engine, settings.model, settings.cache))


async def run(settings: SpeechSettings, selection: Selection) -> None:
    """Builds the service around an engine, top to bottom, and runs it until a signal."""
    metrics = Metrics("stt")
    health = Health(SPEECH_TO_TEXT, RUNNING, _DECODERS, _ENGINES)
    announce_engine(metrics, selection.engine, selection.model, selection.fallback_reason)
    sampling = Sampling(_decoders(settings, metrics, health), settings.audio_limits)
    engines = _engines(settings, selection, metrics, health)
    listeners = _listeners(settings, metrics)
    admission = Admission(AdmissionLimits.of(settings), metrics)
    draining = Draining()
    meter = Meter(settings, metrics)
    transcriber = Transcriber(sampling, engines, admission, meter, metrics)
    streams = Streams(
        Hearing(listeners, engines, draining, metrics, SessionLimits.of(settings)),
        admission,
        meter,
        _seals(settings),
        StreamOptions.of(settings),
    )
    options = ServicerOptions.of(settings, selection.fallback_reason)
    servicer = SpeechToTextServicer(transcriber, streams, options)

    async def load() -> None:
        await meter.start()
        starting = [asyncio.ensure_future(one.start()) for one in (transcriber, listeners)]
        try:
            await asyncio.gather(*starting)
        finally:  # what keeps the one from starting leaves no other half started
            for one in starting:
                one.cancel()
            await asyncio.gather(*starting, return_exceptions=True)

    async def close() -> None:
        await listeners.stop()
        await transcriber.stop()
        await meter.close()

    def register(server: grpc.aio.Server) -> None:
        speech_pb2_grpc.add_SpeechToTextServicer_to_server(servicer, server)
        usage_pb2_grpc.add_UsageServicer_to_server(UsageServicer(meter, settings), server)

    service = Service(
        register=register,
        load=load,
        close=close,
        draining=draining,
        doors={
            f"/{SPEECH_TO_TEXT}/Recognize": admission.check,
            f"/{SPEECH_TO_TEXT}/StreamingRecognize": partial(admission.check, share=settings.stream_share),
        },
    )
    await Server(settings, metrics, health).run(service)


def _seals(settings: SpeechSettings) -> Seals[Position]:
    keys = KeyRing(settings.resume_keys_file)
    return Seals(keys, _PURPOSE, Position, settings.resume_token_seconds, TOKEN_FIELD)


def _decoders(settings: SpeechSettings, metrics: Metrics, health: Health) -> Pool:
    limits = {name: str(value) for name, value in asdict(settings.audio_limits).items()}
    options = {"headroom": str(settings.decoder_mebibytes * MEBIBYTE), **limits}
    spec = TaskSpec("earshot.stt.decode_task:make", options)
    return observed_pool(spec, PoolOptions(_DECODERS, workers=settings.decoders), metrics, health)


def _listeners(settings: SpeechSettings, metrics: Metrics) -> Listeners:
    # Not in the replica's health: without one it still serves calls, and a new one is there in a second.
    options = {
        "headroom": str(settings.listener_mebibytes * MEBIBYTE),
        "free_seconds": str(settings.free_audio_seconds),
        "seconds_per_byte": str(settings.audio_seconds_per_byte),
    }
    spec = TaskSpec(_LISTENING, options)
    names = (f"listener-{number}" for number in range(settings.listeners))
    # What one listener had begun no other knows of: it is not tried again, and its stream goes on by token.
    each = [PoolOptions(name, max_batch=_TOGETHER, tries=1) for name in names]
    return Listeners([observed_pool(spec, one, metrics) for one in each])


def _engines(settings: SpeechSettings, selection: Selection, metrics: Metrics, health: Health) -> Pool:
    options = {
        "loader": selection.loader,
        "model": selection.model,
        "threads": str(settings.threads),
        "context_seconds": str(settings.context_seconds),
        "cache": str(settings.cache),
        "name_model": settings.name_model,
    }
    spec = TaskSpec("earshot.stt.engine_task:make", options)
    return observed_pool(spec, PoolOptions.of(_ENGINES, settings), metrics, health)


if __name__ == "__main__":
    launch("stt", SpeechSettings, serve)

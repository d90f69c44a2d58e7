"""The classification service: ``python -m earshot.classification``; ``--help`` lists its settings."""

from __future__ import annotations

from functools import partial

import grpc

from earshot.classification.classifier import Classifier
from earshot.classification.engines.selection import Selection, select
from earshot.classification.seen import SeenLimits, SeenTexts
from earshot.classification.servicer import ServicerOptions, Streams, ZeroShotClassifierServicer
from earshot.classification.settings import ClassificationSettings
from earshot.classification.transcripts import SpeechToTextTranscripts
from earshot.gen.v1 import classification_pb2_grpc, usage_pb2_grpc
from earshot.quotas.meter import Meter
from earshot.quotas.usage import UsageServicer
from earshot.runtime.admission import Admission, AdmissionLimits
from earshot.runtime.draining import Draining
from earshot.runtime.health import Health
from earshot.runtime.launch import announce_engine, launch
from earshot.runtime.messages import TaskSpec
from earshot.runtime.metrics import Metrics
from earshot.runtime.observed import observed_pool
from earshot.runtime.pool import Pool
from earshot.runtime.pool_options import PoolOptions
from earshot.runtime.reflection import ZERO_SHOT_CLASSIFIER
from earshot.runtime.server import RUNNING, Server, Service

_ENGINES = "engines"


async def serve(settings: ClassificationSettings) -> None:
    """Picks the engine and runs the service until a signal."""
    await run(settings, select(settings.engine, settings.model, settings.cache))


async def run(settings: ClassificationSettings, selection: Selection) -> None:
    """Builds the service around an engine, top to bottom, and runs it until a signal."""
    metrics = Metrics("classification")
    health = Health(ZERO_SHOT_CLASSIFIER, RUNNING, _ENGINES)
    announce_engine(metrics, selection.engine, selection.model, selection.fallback_reason)
    admission = Admission(AdmissionLimits.of(settings), metrics)
    meter = Meter(settings, metrics)
    seen = SeenTexts(SeenLimits.of(settings), metrics)
    classifier = Classifier(_engines(settings, selection, metrics, health), admission, metrics, seen)
    transcripts = SpeechToTextTranscripts.of(settings)
    options = ServicerOptions.of(settings, selection.fallback_reason)
    draining = Draining()
    streams = Streams.of(settings, draining)
    servicer = ZeroShotClassifierServicer(classifier, transcripts, meter, streams, options)

    async def load() -> None:
        await meter.start()
        await classifier.start()

    async def close() -> None:
        await classifier.stop()
        await transcripts.close()
        await meter.close()

    def register(server: grpc.aio.Server) -> None:
        classification_pb2_grpc.add_ZeroShotClassifierServicer_to_server(servicer, server)
        usage_pb2_grpc.add_UsageServicer_to_server(UsageServicer(meter, settings), server)

    service = Service(
        register=register,
        load=load,
        close=close,
        draining=draining,
        doors={
            f"/{ZERO_SHOT_CLASSIFIER}/Classify": admission.check,
            f"/{ZERO_SHOT_CLASSIFIER}/ClassifySpeech": admission.check,
            f"/{ZERO_SHOT_CLASSIFIER}/StreamingClassifySpeech": partial(
                admission.check, share=settings.stream_share
            ),
        },
    )
    await Server(settings, metrics, health).run(service)


def _engines(
    settings: ClassificationSettings, selection: Selection, metrics: Metrics, health: Health
) -> Pool:
    options = {
        "loader": selection.loader,
        "model": selection.model,
        "threads": str(settings.threads),
        "label_cache": str(settings.label_cache),
        "cache": str(settings.cache),
    }
    spec = TaskSpec("earshot.classification.engine_task:make", options)
    return observed_pool(spec, PoolOptions.of(_ENGINES, settings), metrics, health)


if __name__ == "__main__":
    launch("classification", ClassificationSettings, serve)

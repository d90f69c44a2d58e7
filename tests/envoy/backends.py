"""A replica with the real protos, health and reflection, and a fake core: ``backends.py stt|classification``.

It takes the services' own environment. A request's model is its orders:
``""`` answer at once, ``"sleep:0.2"`` answer after so many seconds, ``"code:INVALID_ARGUMENT"`` refuse
with that code, ``"die"`` leave the process in
the middle of the call, ``"who"`` write down who is calling and what proofs of it have come so far,
``"attempt"`` which of Envoy's attempts this is. ``FAKE_CAPACITY`` calls at once,
more are refused; ``FAKE_DIES_AT_START`` prints a line and exits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import Gauge, Info, start_http_server

from earshot import errors
from earshot.gen.v1 import (
    classification_pb2,
    classification_pb2_grpc,
    models_pb2,
    speech_pb2,
    speech_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
)
from earshot.rpc import limits, status
from earshot.runtime.tls import Certificates

NAME = os.environ.get("EARSHOT_REPLICA", "fake")
CAPACITY = int(os.environ.get("FAKE_CAPACITY", "1000"))
MODEL = models_pb2.Model(name="fake-model", engine="fake", is_default=True)
SERVICES = ("earshot.v1.SpeechToText", "earshot.v1.ZeroShotClassifier")
MESSAGE_BYTES = 64 * limits.MEBIBYTE + limits.HEADROOM_BYTES
Info("earshot_model", "The model served.").info({"engine": MODEL.engine, "model": MODEL.name})
IN_FLIGHT = Gauge("earshot_requests_in_flight", "Requests being answered.")


class Core:
    """What the orders in a request's model say, for either service."""

    def __init__(self) -> None:
        self.at_work = 0

    @asynccontextmanager
    async def place(self, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
        """One of the places, while the context lasts; the call is refused where none is left."""
        if self.at_work >= CAPACITY:
            await refuse(errors.ResourceExhaustedError("full", retry_after=0.05), context)
        self.at_work += 1
        IN_FLIGHT.inc()
        try:
            yield
        finally:
            IN_FLIGHT.dec()
            self.at_work -= 1

    async def obey(self, model: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Does as told; a refusal aborts the call."""
        async with self.place(context):
            await self._work(model, context)

    async def _work(self, model: str, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        order, _, value = model.partition(":")
        if order == "sleep":
            await asyncio.sleep(float(value))
        elif order == "die":
            os._exit(13)
        elif order == "code":
            error = errors.InvalidArgumentError("not so", field="config.model", reason="NOT_SO")
            if value != "INVALID_ARGUMENT":
                await context.abort(grpc.StatusCode[value], "as ordered")
            await refuse(error, context)


def who(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """What has come of the caller's name and proofs, as "name value" with commas between."""
    told = ("x-earshot-client", "x-api-key", "authorization")
    return ",".join(f"{key} {value}" for key, value in context.invocation_metadata() or () if key in told)


def attempt(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """As Envoy counts them."""
    return ",".join(
        str(value) for key, value in context.invocation_metadata() or () if key == "x-envoy-attempt-count"
    )


_WRITTEN = {"who": who, "attempt": attempt}


async def refuse(error: errors.EarshotError, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Aborts the call with the error's status and its details, as the services do."""
    await context.abort_with_status(status.to_grpc_status(error))


class Speech(speech_pb2_grpc.SpeechToTextServicer):
    """Answers with its own name."""

    def __init__(self, core: Core) -> None:
        self.core = core

    async def Recognize(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        await self.core.obey(request.config.model, context)
        words = _WRITTEN.get(request.config.model, lambda _: f"{len(request.content)} bytes")(context)
        return speech_pb2.RecognizeResponse(
            results=[{"alternatives": [{"transcript": words}], "is_final": True}],
            metadata={"replica": NAME, "latency": {"total": {"nanos": 5_000_000}}},
        )

    async def StreamingRecognize(self, requests: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        async with self.core.place(context):
            async for request in requests:
                acknowledged = {"acked_sequence_number": request.audio.sequence_number}
                yield speech_pb2.StreamingRecognizeResponse(
                    acknowledgement=acknowledged, metadata={"replica": NAME}
                )

    async def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        return speech_pb2.SpeechToTextListModelsResponse(models=[MODEL])


class ZeroShot(classification_pb2_grpc.ZeroShotClassifierServicer):
    """Answers with its own name, and the first label."""

    def __init__(self, core: Core) -> None:
        self.core = core

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self.core.obey(request.config.model, context)
        labels = [{"label": label, "score": 0.5} for label in request.config.candidate_labels]
        return classification_pb2.ClassifyResponse(
            results=[{"labels": labels} for _ in request.inputs], metadata={"replica": NAME}
        )

    async def ClassifySpeech(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self.core.obey(request.classification_config.model, context)
        return classification_pb2.ClassifySpeechResponse(
            transcript=f"{len(request.content)} bytes", classification_metadata={"replica": NAME}
        )

    async def StreamingClassifySpeech(self, requests: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        async with self.core.place(context):
            async for request in requests:
                acknowledged = {"acked_sequence_number": request.audio.sequence_number}
                yield classification_pb2.StreamingClassifySpeechResponse(acknowledgement=acknowledged)

    async def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802
        return classification_pb2.ZeroShotClassifierListModelsResponse(models=[MODEL])


class Usage(usage_pb2_grpc.UsageServicer):
    async def GetUsage(self, request: Any, context: Any) -> Any:  # noqa: N802
        return usage_pb2.GetUsageResponse(total={"client": who(context)})


async def serve(kind: str) -> None:
    """Serves until SIGTERM, then drains as the services do."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    server, vitals = build(kind)
    await server.start()
    start_http_server(int(os.environ.get("EARSHOT_METRICS_PORT", "0")), "127.0.0.1")
    await stopping.wait()
    await vitals.set(full_name(kind), health_pb2.HealthCheckResponse.NOT_SERVING)
    await asyncio.sleep(float(os.environ.get("EARSHOT_DRAIN_SECONDS", "0")))
    await server.stop(float(os.environ.get("EARSHOT_GRACE_SECONDS", "5")))


def build(kind: str) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """The server, and what decides on its health."""
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]
    server = grpc.aio.server(options=options)
    if kind == "stt":
        speech_pb2_grpc.add_SpeechToTextServicer_to_server(Speech(Core()), server)
    else:
        classification_pb2_grpc.add_ZeroShotClassifierServicer_to_server(ZeroShot(Core()), server)
    usage_pb2_grpc.add_UsageServicer_to_server(Usage(), server)  # type: ignore[no-untyped-call]
    vitals = health.aio.HealthServicer()
    vitals._server_status[full_name(kind)] = health_pb2.HealthCheckResponse.SERVING
    health_pb2_grpc.add_HealthServicer_to_server(vitals, server)
    reflection.enable_server_reflection((*SERVICES, reflection.SERVICE_NAME), server)
    address, folder = f"127.0.0.1:{os.environ['EARSHOT_PORT']}", os.environ.get("EARSHOT_TLS_FOLDER")
    if folder:
        server.add_secure_port(address, Certificates(Path(folder)).server())
    else:
        server.add_insecure_port(address)
    return server, vitals


def full_name(kind: str) -> str:
    """The gRPC service's, by which health is asked."""
    return SERVICES[0] if kind == "stt" else SERVICES[1]


if __name__ == "__main__":
    if os.environ.get("FAKE_DIES_AT_START"):
        sys.exit("fake: no such model: /nowhere/weights.pt")
    asyncio.run(serve(sys.argv[1]))

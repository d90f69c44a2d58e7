"""One replica of a service: a process, the ports it listens on, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from earshot import errors
from earshot.local import figures, http
from earshot.local.dataplane import SPEECH_TO_TEXT, ZERO_SHOT_CLASSIFIER
from earshot.local.ports import LOOPBACK, free_ports
from earshot.local.processes import Child
from earshot.local.tasks import cancel, until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS: Final = 600.0  # a model may have to be loaded, or fetched first
DRAIN_SECONDS: Final = 1  # Envoy has forgotten a replica before it is told to stop
GRACE_SECONDS: Final = 30  # for the calls that it still has
_IN_FLIGHT: Final = "earshot_requests_in_flight"
_MODEL, _FALLBACK = "earshot_model_info", "earshot_fallback_info"
_CHANNEL: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
_KEPT: Final = str(128 * 1024 * 1024)  # bytes that a process may keep
# Of the front processes; the image sets the same.
ENVIRONMENT: Final = {
    # Without these, glibc gives the memory of each large message back to the kernel and asks for it again,
    # zeroed: four fifths of what copying 64 MiB costs.
    "MALLOC_MMAP_THRESHOLD_": _KEPT,
    "MALLOC_TRIM_THRESHOLD_": _KEPT,
    # gRPC would end its threads before each start of a worker and start them again after, and die where it
    # cannot; what is forked here becomes another program at once.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of replica."""

    name: str  # as people write it: "stt"
    title: str
    cluster: str  # as Envoy's configuration names it
    full_name: str  # of the gRPC service, by which health is asked
    command: tuple[str, ...]


STT: Final = Service(
    name="stt",
    title="speech-to-text",
    cluster=SPEECH_TO_TEXT,
    full_name="earshot.v1.SpeechToText",
    command=(sys.executable, "-m", "earshot.stt"),
)
CLASSIFICATION: Final = Service(
    name="classification",
    title="classification",
    cluster=ZERO_SHOT_CLASSIFIER,
    full_name="earshot.v1.ZeroShotClassifier",
    command=(sys.executable, "-m", "earshot.classification"),
)


class Phase(StrEnum):
    """Where a replica is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    RESTARTING = "restarting"


class Replica:
    """Keeps its name over restarts; its ports are new each time, so that Envoy sees a new host."""

    def __init__(self, service: Service, name: str, settings: Mapping[str, str], logs: Path) -> None:
        self.service = service
        self.name = name
        self.phase = Phase.STARTING
        self.restarts = 0
        self.port, self.metrics_port, self._health_port = 0, 0, 0
        self.model, self.engine, self.fallback = "", "", ""
        self.child: Child | None = None
        self._settings = settings
        self._log = logs / f"{name}.log"

    async def start(self) -> None:
        """Starts the process and waits until it serves.

        Raises:
            UnavailableError: it ended instead, or took too long; the message has its last line.
        """
        self.port, self.metrics_port, self._health_port = free_ports(3)
        self.child = await Child.start(self.service.command, self._environment(), self._log)
        serving = asyncio.create_task(self._serving())
        gone = asyncio.create_task(self.child.exited())
        try:
            await asyncio.wait({serving, gone}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                self._introduce(await serving)
        finally:
            await cancel(serving, gone)
            if self.phase is not Phase.SERVING:
                self.child.kill()
        if self.phase is not Phase.SERVING:
            raise errors.UnavailableError(f"{self.name} did not get ready: {self.child.obituary()}")

    async def stop(self) -> None:
        """Lets it finish the calls that it has, then ends it."""
        self.phase = Phase.DRAINING
        if self.child is not None:
            await self.child.stop(patience=DRAIN_SECONDS + GRACE_SECONDS + 5)

    async def in_flight(self) -> int | None:
        """Calls that it is working on now; None where it does not say."""
        try:
            text = await http.fetch(self.metrics_port, "/metrics")
        except errors.UnavailableError:
            return None
        values = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(_IN_FLIGHT)]
        return int(sum(map(float, values)))

    def _introduce(self, page: str) -> None:
        """What it says of itself in its figures: what its methods say depends on who asks."""
        lines = (line for line in page.splitlines() if line.startswith((_MODEL, _FALLBACK)))
        said = figures.parse("\n".join(lines) + "\n")
        for labels, _ in said.series(_MODEL):
            self.model, self.engine = labels["model"], labels["engine"]
        for labels, _ in said.series(_FALLBACK):
            self.fallback = labels["fallback_reason"]
        self.phase = Phase.SERVING

    async def _serving(self) -> str:
        """Waits until it serves; gives its figures."""
        port = self._health_port if self._is_private else self.port
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}", options=_CHANNEL) as channel:
            await until(partial(self._healthy, channel), pause=0.1)
        return await http.fetch(self.metrics_port, "/metrics")

    async def _healthy(self, channel: grpc.aio.Channel) -> bool:
        request = health_pb2.HealthCheckRequest(service=self.service.full_name)
        with suppress(grpc.RpcError):
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
            answer = await check(request, timeout=1.0)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False

    @property
    def _is_private(self) -> bool:
        """Whether it answers only who shows a certificate; and all, on a port of its own, for its health."""
        return "EARSHOT_TLS_FOLDER" in self._settings

    def _environment(self) -> dict[str, str]:
        return (
            ENVIRONMENT
            | os.environ
            | {
                **self._settings,
                "EARSHOT_HOST": LOOPBACK,
                "EARSHOT_PORT": str(self.port),
                "EARSHOT_METRICS_PORT": str(self.metrics_port),
                "EARSHOT_HEALTH_PORT": str(self._health_port if self._is_private else 0),
                "EARSHOT_REPLICA": self.name,
                "EARSHOT_DRAIN_SECONDS": str(DRAIN_SECONDS),
                "EARSHOT_GRACE_SECONDS": str(GRACE_SECONDS),
            }
        )

"""A service's life: listen, load, serve, drain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc
from grpc_health.v1 import health_pb2_grpc

from earshot import errors
from earshot.rpc.limits import HEADROOM_BYTES, MEBIBYTE
from earshot.runtime.book import Book
from earshot.runtime.draining import Draining
from earshot.runtime.health import Health
from earshot.runtime.interceptors import CallInterceptor, Door, Entrance, Observer
from earshot.runtime.labels import Clients
from earshot.runtime.logs import logger
from earshot.runtime.metrics import Metrics
from earshot.runtime.reflection import add_reflection
from earshot.runtime.settings import ServiceSettings
from earshot.runtime.tls import Certificates
from earshot.runtime.tracing import tracing
from earshot.runtime.trimming import trimming

# Health components of every service.
RUNNING: Final = "running"  # no signal to stop has come
_PROBES: Final = 16  # at once; the kubelet has three


@dataclass(frozen=True, slots=True)
class Service:
    """What a server serves."""

    register: Callable[[grpc.aio.Server], None]
    load: Callable[[], Awaitable[None]]  # starts what it needs; raises what makes serving impossible
    close: Callable[[], Awaitable[None]]
    draining: Draining = field(default_factory=Draining)  # set when the replica leaves
    doors: Mapping[str, Door] = field(default_factory=dict)  # see Entrance


class Server:
    """One service on one port, with health, reflection and metrics beside it."""

    def __init__(self, settings: ServiceSettings, metrics: Metrics, health: Health) -> None:
        self._settings, self._metrics, self._health = settings, metrics, health
        self._book = Book(metrics)
        self._tracing = tracing(settings, metrics.component)

    async def run(self, service: Service) -> None:
        """Serves until SIGTERM or SIGINT, then drains; a second signal ends it at once."""
        stopping = _signals()
        async with trimming(), self._listening(service) as server:
            await self._load(service, stopping)
            await stopping.wait()
            service.draining.start(self._settings.drain_seconds)
            await self._drain(server)

    @contextlib.asynccontextmanager
    async def _listening(self, service: Service) -> AsyncIterator[grpc.aio.Server]:
        server, probed = self._build(service), self._health_server()
        port = _bind(server, self._settings)
        metrics_port, stop_metrics = _serve_metrics(self._metrics, self._settings)
        self._metrics.ready.set_function(lambda: self._health.ready)
        await self._health.start()
        await server.start()
        if probed:
            await probed.start()
        logger().info("listening", host=self._settings.host, port=port, metrics_port=metrics_port)
        try:
            yield server
        finally:
            await server.stop(0)
            if probed:
                await probed.stop(0)
            await service.close()
            stop_metrics()
            if self._tracing:
                await asyncio.to_thread(self._tracing.close)
            self._book.settle()
            logger().info("stopped")

    def _build(self, service: Service) -> grpc.aio.Server:
        settings = self._settings
        observer = Observer(settings.replica, self._metrics, self._book, self._tracing)
        entrance = Entrance(Clients(settings.client_names), settings.stream_idle_seconds, service.doors)
        interceptor = CallInterceptor(observer, entrance)
        server = grpc.aio.server(interceptors=(interceptor,), options=_options(settings))
        service.register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        add_reflection(server)
        return server

    def _health_server(self) -> grpc.aio.Server | None:
        """A server that answers for our health and nothing else."""
        if not self._settings.health_port:
            return None
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=_PROBES)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        _listen(server, self._settings.host, self._settings.health_port, "EARSHOT_HEALTH_PORT")
        return server

    async def _load(self, service: Service, stopping: asyncio.Event) -> None:
        """Loads; a signal meanwhile ends the waiting."""
        loading = asyncio.ensure_future(service.load())
        signalled = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({loading, signalled}, return_when=asyncio.FIRST_COMPLETED)
        signalled.cancel()
        if not loading.done():
            loading.cancel()
            return
        loading.result()
        await self._health.set(RUNNING, not stopping.is_set())
        logger().info("ready")

    async def _drain(self, server: grpc.aio.Server) -> None:
        """Not ready any more, but serving while others still send; then no new calls; then an end."""
        await self._health.set(RUNNING, healthy=False)
        self._metrics.draining.set(1)
        logger().info("draining", seconds=self._settings.drain_seconds)
        await asyncio.sleep(self._settings.drain_seconds)
        await server.stop(self._settings.grace_seconds)


def _signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stopping


def _bind(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    certificates = Certificates(settings.tls_folder) if settings.tls_folder else None
    credentials = certificates.server() if certificates else None
    return _listen(server, settings.host, settings.port, "EARSHOT_PORT", credentials)


def _listen(
    server: grpc.aio.Server,
    host: str,
    port: int,
    setting: str,
    credentials: grpc.ServerCredentials | None = None,
) -> int:
    """The port; ``credentials``: by TLS."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if credentials:
            return server.add_secure_port(address, credentials)
        return server.add_insecure_port(address)
    except RuntimeError:
        raise errors.FailedPreconditionError(
            f"cannot listen on {address}: is the port in use? Choose another by {setting}"
        ) from None


def _serve_metrics(metrics: Metrics, settings: ServiceSettings) -> tuple[int, Callable[[], None]]:
    try:
        return metrics.serve(settings.host, settings.metrics_port)
    except OSError:
        raise errors.FailedPreconditionError(
            f"cannot listen on {settings.host}:{settings.metrics_port} for metrics: is the port in use? "
            "Choose another by EARSHOT_METRICS_PORT"
        ) from None


def _options(settings: ServiceSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes + HEADROOM_BYTES),
        ("grpc.max_send_message_length", -1),
        # What a caller may send that nobody reads. By itself gRPC asks by pings how much keeps the line busy:
        # they wake a process that is idle, and it may be many times as much.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", MEBIBYTE // 2),
        # Two replicas on one port would not share the calls of one proxy.
        ("grpc.so_reuseport", 0),
        # Proxies ping quiet connections; none of that is abuse.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
    ]

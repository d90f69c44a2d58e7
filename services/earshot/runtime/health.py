"""Health as a map of named components: the service is ready when all of them are."""

from __future__ import annotations

from typing import Final

from grpc_health.v1 import health, health_pb2

LIVENESS: Final = "liveness"  # a service name that answers SERVING as long as the event loop turns
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Components start unhealthy. Answers for ``service``, and for the server as a whole ("")."""

    def __init__(self, service: str, *components: str) -> None:
        self.servicer = health.aio.HealthServicer()
        self._service = service
        self._components = dict.fromkeys(components, False)

    async def start(self) -> None:
        """Answers from now on."""
        await self.servicer.set(LIVENESS, _SERVING)
        await self._publish()

    async def set(self, component: str, healthy: bool) -> None:
        """``component`` is as it should be, or is not."""
        self._components[component] = healthy
        await self._publish()

    @property
    def ready(self) -> bool:
        """Whether all components are healthy."""
        return all(self._components.values())

    async def _publish(self) -> None:
        status = _SERVING if self.ready else _NOT_SERVING
        await self.servicer.set(self._service, status)
        await self.servicer.set("", status)

"""Whether each replica says that it is healthy, asked again and again while something goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from earshot.local.replicas import CLASSIFICATION, STT, Service
from tests.drills.drill import Result
from tests.drills.stack import Stack

_EVERY: Final = 1.0  # seconds between looks
_PATIENCE: Final = 3.0  # seconds for an answer: as long as Envoy waits


@dataclass
class Looks:
    """How often replicas were looked at, each by itself, and what was not as it should be."""

    count: int = 0
    unhealthy: list[str] = field(default_factory=list)

    def judge(self, result: Result) -> None:
        """All must have been healthy at each."""
        lost, said = len(self.unhealthy), "; ".join(sorted(set(self.unhealthy)))
        result.counts |= {"looks at a replica's health": self.count, "at which it was lost": lost}
        result.must(self.count, "nobody looked at the replicas' health")
        result.must(not lost, f"health was lost at {lost} looks ({said})")


@dataclass(frozen=True)
class _Check:
    """``grpc.health.v1.Health/Check`` of one replica, past Envoy."""

    name: str
    service: Service
    channel: grpc.aio.Channel

    async def said(self) -> str:
        """The status, or why there is none; in a word."""
        request = health_pb2.HealthCheckRequest(service=self.service.full_name)
        try:
            answer = await health_pb2_grpc.HealthStub(self.channel).Check(request, timeout=_PATIENCE)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@asynccontextmanager
async def watched(stack: Stack, looks: Looks) -> AsyncIterator[None]:
    """Looks until the end at each replica that is there at the beginning, of both kinds: one that dies
    meanwhile is not healthy, whoever takes its place.
    """
    async with AsyncExitStack() as channels:
        checks = [
            _Check(row["name"], service, await _channel(channels, row["port"]))
            for service in (STT, CLASSIFICATION)
            for row in await stack.replicas(service.name)
        ]
        looking = asyncio.create_task(_look_on(stack, checks, looks))
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


async def _channel(channels: AsyncExitStack, port: int) -> grpc.aio.Channel:
    return await channels.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))


async def _look_on(stack: Stack, checks: Sequence[_Check], looks: Looks) -> None:
    while True:
        await asyncio.sleep(_EVERY)
        said, rows = await asyncio.gather(_asked(checks), _rows(stack))
        for check, status in zip(checks, said, strict=True):
            looks.count += 1
            if status != "SERVING":
                looks.unhealthy.append(f"{check.name} said {status}")
            elif rows.get(check.name, {}).get("health") != "healthy":
                looks.unhealthy.append(f"Envoy held {check.name} for not healthy")


async def _asked(checks: Sequence[_Check]) -> list[str]:
    return await asyncio.gather(*(check.said() for check in checks))


async def _rows(stack: Stack) -> dict[str, dict[str, Any]]:
    """What ``earshot status`` says, by the replica's name."""
    return {row["name"]: row for row in (await stack.status())["replicas"]}

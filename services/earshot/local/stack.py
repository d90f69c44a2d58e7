"""The whole stack on one machine: Envoy, the replicas behind it, and who may change them.

``async with Stack(...)``: inside, everything serves; afterwards no process is left.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from earshot import errors
from earshot.local import control
from earshot.local.envoy import Envoy
from earshot.local.groups import Group
from earshot.local.ports import LOOPBACK, is_free
from earshot.local.prometheus import Prometheus, Target, target
from earshot.local.redis import Redis
from earshot.local.replicas import CLASSIFICATION, STT, Phase, Service
from earshot.local.security import Protection, follow, of_replicas, prepare
from earshot.local.tasks import cancel, together, until
from earshot.local.traces import collector

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from earshot.local.replicas import Replica
    from earshot.local.state import StateFolder

_RESTART_SECONDS: Final = 1.0
_REDIS_URL: Final = "EARSHOT_QUOTA_REDIS_URL"


@dataclass(frozen=True, slots=True)
class Fleet:
    """How one service is to run. Empty engine and model: the service's own defaults."""

    service: Service
    replicas: int = 2
    engine: str = "auto"
    model: str = ""
    workers: int = 1  # of each replica

    def settings(self) -> dict[str, str]:
        """The same as environment of a replica."""
        given = {"EARSHOT_ENGINE": self.engine, "EARSHOT_WORKERS": str(self.workers)}
        return given | ({"EARSHOT_MODEL": self.model} if self.model else {})


@dataclass(frozen=True, slots=True)
class Options:
    """What is to run, and where callers find it: ``port`` on loopback."""

    port: int = 8080
    stt: Fleet = field(default_factory=lambda: Fleet(STT))
    classification: Fleet = field(default_factory=lambda: Fleet(CLASSIFICATION))
    prometheus_port: int | None = None  # where a Prometheus listens; None: without one
    protection: Protection = field(default_factory=Protection)
    redis: bool = False  # one beside it, in which replicas count together


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica as ``earshot status`` shows it."""

    name: str
    service: str
    phase: str
    health: str  # Envoy's view: "healthy", or why it gets no calls
    engine: str
    model: str
    fallback_reason: str
    in_flight: int | None  # calls; None: it does not say
    restarts: int
    pid: int | None
    port: int
    metrics_port: int


class Stack:
    """Runs while its context lasts."""

    def __init__(self, options: Options, state: StateFolder, tell: Callable[[str], None]) -> None:
        """``tell``: where news go, a line each."""
        self._options = options
        self.state = state
        self._tell = tell
        self._asked_to_stop = asyncio.Event()
        self._cleanup = AsyncExitStack()
        self.groups: dict[str, Group] = {}
        self.prometheus: Prometheus | None = None
        self.redis: Redis | None = None
        self.envoy: Envoy

    @property
    def target(self) -> str:
        """Where callers find it, as host:port."""
        return f"{LOOPBACK}:{self._options.port}"

    @property
    def protection(self) -> Protection:
        """What is asked of callers."""
        return self._options.protection

    @property
    def figures(self) -> str:
        """Where a scraper finds Envoy's figures."""
        return f"http://{LOOPBACK}:{self.envoy.metrics_port}/stats/prometheus"

    async def __aenter__(self) -> Self:
        """Starts everything and returns when it serves.

        Raises:
            FailedPreconditionError: Envoy, Prometheus or Redis is missing, a port is taken, another stack
                runs.
            UnavailableError: a replica died at its start; the message has its last line.
        """
        try:
            await self._start()
        except BaseException:
            await self._cleanup.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._cleanup.aclose()

    async def asked_to_stop(self) -> None:
        """Returns once ``earshot down`` has asked for it."""
        await self._asked_to_stop.wait()

    async def scale(self, **wanted: int) -> None:
        """Brings services to so many replicas, by their short names, while calls run.

        Raises:
            InvalidArgumentError: no such service; OutOfRangeError: too few or too many.
            UnavailableError: a new replica died at its start.
        """
        for name in wanted:
            if name not in self.groups:
                names = " and ".join(self.groups)
                raise errors.InvalidArgumentError(f"no service {name!r}: there are {names}", field=name)
        await together([self.groups[name].scale(count) for name, count in wanted.items()])

    async def status(self) -> dict[str, Any]:
        """The stack, and each replica as :class:`ReplicaStatus`; JSON types only."""
        health = await self._health()
        replicas = [each for group in self.groups.values() for each in group.replicas]
        in_flight = await asyncio.gather(*(replica.in_flight() for replica in replicas))
        rows = [_status(each, health, calls) for each, calls in zip(replicas, in_flight, strict=True)]
        return {"stack": self._summary(), "replicas": [asdict(row) for row in rows]}

    async def _start(self) -> None:
        if self._cleanup.enter_context(self.state.hold()):
            self._tell("the last stack in this folder ended without cleaning up: done now")
        if not is_free(self._options.port):
            raise errors.FailedPreconditionError(
                f"port {self._options.port} is in use: stop what listens there, or give another by --port"
            )
        security = prepare(self.state, self._options.protection)
        self.envoy = Envoy(self.state, self._options.port, security, collector(os.environ))
        if self._options.redis:
            self.redis = Redis(self.state)
            self._cleanup.push_async_callback(self.redis.stop)
        self._make_groups()
        self._cleanup.push_async_callback(self._stop)
        beside = [self.envoy.start(), self._start_prometheus(), *([self.redis.start()] if self.redis else [])]
        await together([*beside, *(group.scale(count) for group, count in self._wanted())])
        await self._all_healthy()
        await self._watch()

    def _make_groups(self) -> None:
        shared = {"EARSHOT_SPEECH_TARGET": self.target} | of_replicas(self.state, self.protection)
        if self.redis:
            shared[_REDIS_URL] = self.redis.url
        if "EARSHOT_RESUME_KEYS_FILE" not in os.environ:
            shared["EARSHOT_RESUME_KEYS_FILE"] = str(self.state.resume_keys())
        for fleet in (self._options.stt, self._options.classification):
            group = Group(fleet.service, fleet.settings() | shared, self.state, self._tell)
            group.publish()
            self.groups[fleet.service.name] = group

    async def _start_prometheus(self) -> None:
        if self._options.prometheus_port is not None:
            self.prometheus = Prometheus(self.state, self._options.prometheus_port, self._targets)
            self._cleanup.push_async_callback(self.prometheus.stop)
            await self.prometheus.start()

    def _targets(self) -> list[Target]:
        """Whom Prometheus is to read."""
        replicas = [each for group in self.groups.values() for each in group.replicas]
        edge = target("envoy-1", self.envoy.metrics_port, "/stats/prometheus")
        return [edge, *(target(each.name, each.metrics_port) for each in replicas if each.metrics_port)]

    def _wanted(self) -> list[tuple[Group, int]]:
        fleets = (self._options.stt, self._options.classification)
        return [(self.groups[fleet.service.name], fleet.replicas) for fleet in fleets]

    async def _watch(self) -> None:
        keeping = [self._keep("Envoy", self.envoy), follow(self.state, self.protection, self._tell)]
        if self.redis:
            keeping.append(self._keep("Redis", self.redis))
        if self.prometheus:
            keeping.append(self._keep("Prometheus", self.prometheus))
        self._cleanup.push_async_callback(cancel, *(asyncio.create_task(one) for one in keeping))
        commands: dict[str, control.Handler] = {
            "scale": self.scale,
            "status": self.status,
            "down": self._down,
        }
        await self._cleanup.enter_async_context(control.serving(self.state, commands))

    async def _stop(self) -> None:
        """Callers first, so that replicas are stopped when nobody needs them."""
        await self.envoy.drain()
        await self.envoy.stop()
        await together([group.stop() for group in self.groups.values()])

    async def _down(self) -> int:
        self._asked_to_stop.set()
        return os.getpid()

    async def _keep(self, title: str, program: Envoy | Redis | Prometheus) -> None:
        """Starts it again whenever it dies."""
        while True:
            assert program.child is not None  # noqa: S101 - it has been started
            await program.child.exited()
            self._tell(f"{title} died ({program.child.obituary()}); starting it again")
            program.restarts += 1
            with suppress(errors.FailedPreconditionError, OSError):  # the disk may have no room
                await program.start()
                continue
            await asyncio.sleep(_RESTART_SECONDS)

    async def _all_healthy(self) -> None:
        """Waits until Envoy, too, has seen every replica serve."""
        await until(self._is_healthy, pause=0.05)

    async def _is_healthy(self) -> bool:
        health = await self._health()
        replicas = [each for group in self.groups.values() for each in group.replicas]
        return all(health.get(each.port) == "healthy" for each in replicas if each.phase is Phase.SERVING)

    async def _health(self) -> dict[int, str]:
        with suppress(errors.UnavailableError):
            return await self.envoy.health()
        return {}

    def _summary(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "metrics": self.figures,
            "prometheus": self.prometheus.url if self.prometheus else None,
            "pid": os.getpid(),
            "envoy_pid": self.envoy.child.pid if self.envoy.child else None,
            "envoy_restarts": self.envoy.restarts,
            "state": str(self.state.root),
        }


def _status(replica: Replica, health: dict[int, str], in_flight: int | None) -> ReplicaStatus:
    serving = replica.phase is Phase.SERVING
    return ReplicaStatus(
        name=replica.name,
        service=replica.service.name,
        phase=replica.phase.value,
        health=health.get(replica.port, "unseen"),
        engine=replica.engine,
        model=replica.model,
        fallback_reason=replica.fallback,
        in_flight=in_flight if serving else None,
        restarts=replica.restarts,
        pid=replica.child.pid if replica.child else None,
        port=replica.port,
        metrics_port=replica.metrics_port,
    )

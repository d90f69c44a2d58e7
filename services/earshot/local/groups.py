"""The replicas of one service: as many as are wanted, and in Envoy's list exactly those that serve."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.local import endpoints
from earshot.local.replicas import Phase, Replica
from earshot.local.tasks import cancel, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from earshot.local.replicas import Service
    from earshot.local.state import StateFolder

MOST: Final = 64  # replicas of one service on one machine
_DELAYS: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each restart in a row
# A life this long ends a row of restarts: who has served is no replica that cannot start, and its being away
# costs more than its start.
_STEADY_SECONDS: Final = 10.0
_UNTOLD_SECONDS: Final = 1.0
_FORGET_SECONDS: Final = 0.2  # Envoy has long taken in a new list: measured 3 ms


class Group:
    """Starts, watches, restarts and stops the replicas of one service."""

    def __init__(
        self, service: Service, settings: Mapping[str, str], state: StateFolder, tell: Callable[[str], None]
    ) -> None:
        """``settings``: environment of its replicas; ``tell``: where news go, a line each."""
        self.service = service
        self.replicas: list[Replica] = []
        self._settings = settings
        self._state = state
        self._tell = tell
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._scaling = asyncio.Lock()

    async def scale(self, wanted: int) -> None:
        """Adds replicas and returns once they serve, or drains some and returns once they are gone.

        Raises:
            OutOfRangeError: not between 1 and ``MOST``.
            UnavailableError: a new replica died at its start; those that serve stay.
        """
        if not 1 <= wanted <= MOST:
            raise errors.OutOfRangeError(
                f"{wanted} replicas of {self.service.name}: give 1 to {MOST}", field=self.service.name
            )
        async with self._scaling:
            await self._add(wanted - len(self.replicas))
            await self._remove(self.replicas[wanted:])

    def publish(self) -> None:
        """Tells Envoy who serves."""
        serving = [replica.port for replica in self.replicas if replica.phase is Phase.SERVING]
        endpoints.publish(self._state.endpoints, self.service.cluster, serving)

    async def stop(self) -> None:
        """Drains and ends all."""
        await self._remove(list(self.replicas))

    async def _add(self, count: int) -> None:
        await together([self._bring_up(self._make()) for _ in range(count)])

    def _make(self) -> Replica:
        taken = {replica.name for replica in self.replicas}
        names = (f"{self.service.name}-{number}" for number in range(1, MOST + 1))
        name = next(name for name in names if name not in taken)
        replica = Replica(self.service, name, self._settings, self._state.logs)
        self.replicas.append(replica)
        return replica

    async def _bring_up(self, replica: Replica) -> None:
        started = time.monotonic()
        try:
            await replica.start()
        except BaseException:
            self.replicas.remove(replica)
            raise
        self.publish()
        self._tell(f"{replica.name} serves after {time.monotonic() - started:.1f} s: {_who(replica)}")
        self._keepers[replica.name] = asyncio.create_task(self._keep(replica))

    async def _remove(self, leaving: Iterable[Replica]) -> None:
        leaving = list(leaving)
        if not leaving:
            return
        await cancel(*(self._keepers.pop(each.name) for each in leaving if each.name in self._keepers))
        for replica in leaving:
            replica.phase = Phase.DRAINING
        self.publish()
        await asyncio.sleep(_FORGET_SECONDS)
        await asyncio.gather(*(replica.stop() for replica in leaving))
        for replica in leaving:
            self.replicas.remove(replica)

    async def _keep(self, replica: Replica) -> None:
        """Starts the replica again whenever it dies, later each time where it dies in a row."""
        failures = 0
        while True:
            since = time.monotonic()
            assert replica.child is not None  # noqa: S101 - it has been started
            await replica.child.exited()
            replica.phase = Phase.RESTARTING
            with suppress(OSError):  # Envoy finds out by itself, a little later
                self.publish()
            failures = 0 if time.monotonic() - since > _STEADY_SECONDS else failures
            failures = await self._revive(replica, failures)

    async def _revive(self, replica: Replica, failures: int) -> int:
        """Tries until it serves again; gives the count of failures in a row."""
        reason = replica.child.obituary() if replica.child else "never started"
        while replica.phase is not Phase.SERVING:
            delay = _DELAYS[min(failures, len(_DELAYS) - 1)]
            failures += 1
            replica.restarts += 1
            self._tell(f"{replica.name} died ({reason}){_row(failures)}; starting it again in {delay:.0f} s")
            await asyncio.sleep(delay)
            try:
                await replica.start()
            except errors.UnavailableError as exc:
                reason = exc.message
            except OSError as exc:
                reason = str(exc)
        await self._publish_in_the_end()
        self._tell(f"{replica.name} serves again: {_who(replica)}")
        return failures

    async def _publish_in_the_end(self) -> None:
        """Tells Envoy who serves; again and again, where there is no room for the list."""
        while True:
            try:
                return self.publish()
            except OSError as exc:
                self._tell(f"Envoy cannot be told who serves ({exc}); again in {_UNTOLD_SECONDS:.0f} s")
            await asyncio.sleep(_UNTOLD_SECONDS)


def _who(replica: Replica) -> str:
    fallback = f" ({replica.fallback})" if replica.fallback else ""
    return f"engine {replica.engine}, model {replica.model}{fallback}"


def _row(failures: int) -> str:
    return f", {failures} times in a row" if failures > 1 else ""

"""A Redis beside the stack, in which its replicas count together what each client has used."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.local.processes import Child

if TYPE_CHECKING:
    from earshot.local.state import StateFolder

START_SECONDS: Final = 30.0  # it may have much to read
_PATIENCE: Final = 1.0  # seconds for one answer
_STOP_SECONDS: Final = 10.0


class Redis:
    """One Redis process. It listens on a socket in the state folder alone, and keeps what it has written
    there from one stack to the next.
    """

    def __init__(self, state: StateFolder) -> None:
        """Raises ``FailedPreconditionError`` where there is no redis-server on the PATH."""
        self._binary = _binary()
        self._folder = state.root / "redis"
        self._socket = state.redis
        self._log = state.logs / "redis.log"
        self.restarts = 0
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """Where the services find it."""
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Starts it and waits until it answers.

        Raises:
            FailedPreconditionError: it ended instead, or did not get ready in time.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.child = await Child.start(self._command(), os.environ, self._log)
        await self.child.ready("Redis", self._answers, START_SECONDS, patience=_STOP_SECONDS)

    async def stop(self) -> None:
        """Ends it, once it has written what it knows."""
        if self.child is not None:
            await self.child.stop(patience=_STOP_SECONDS)

    async def _answers(self) -> bool:
        with suppress(OSError, TimeoutError):
            return await asyncio.wait_for(self._pings(), _PATIENCE)
        return False

    async def _pings(self) -> bool:
        """Not while it still reads what it knew."""
        reader, writer = await asyncio.open_unix_connection(self._socket)
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        finally:
            writer.close()

    def _command(self) -> list[str]:
        return [
            self._binary,
            *("--port", "0"),
            *("--unixsocket", str(self._socket)),
            *("--unixsocketperm", "600"),
            *("--dir", str(self._folder)),
            *("--appendonly", "yes"),
            *("--save", ""),
            *("--maxmemory-policy", "noeviction"),
        ]


def _binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise errors.FailedPreconditionError(
            "redis-server is not on the PATH: install it (apt-get install redis-server), or leave --redis"
        )
    return found

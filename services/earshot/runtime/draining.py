"""What long streams must know of a replica that leaves."""

from __future__ import annotations

import asyncio
import time


class Draining:
    """Set once, by the server; streams wait for it."""

    def __init__(self) -> None:
        self._started = asyncio.Event()
        self._until = 0.0

    def start(self, seconds: float) -> None:
        """The replica leaves in ``seconds``."""
        self._until = time.monotonic() + seconds
        self._started.set()

    @property
    def is_on(self) -> bool:
        """Whether the replica leaves."""
        return self._started.is_set()

    @property
    def time_left(self) -> float:
        """Seconds until streams are closed; 0 at least."""
        return max(0.0, self._until - time.monotonic())

    async def wait(self) -> None:
        """Until it starts."""
        await self._started.wait()

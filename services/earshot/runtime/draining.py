"""What long streams must know of a replica that leaves."""

from __future__ import annotations

import asyncio
import time

from earshot import errors


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

    async def time_to_leave(self, longest: float, notice: float) -> float:
        """Waits until a caller should be sent away: the replica leaves, or ``longest`` seconds are over.

        Gives the seconds until the caller is closed; after ``longest`` these are ``notice``.
        """
        try:
            async with asyncio.timeout(longest):
                await self._started.wait()
        except TimeoutError:
            return notice
        return self.time_left


def gone() -> errors.UnavailableError:
    """The end of a stream whose caller has not left in time."""
    return errors.UnavailableError("this replica leaves: go on by the resume token", reason="GOING_AWAY")

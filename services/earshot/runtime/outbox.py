"""What a stream says to its caller, and the tasks that say it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

ALIVE: Final = 5.0  # seconds without a word after which a stream shows that it lives
_UNSENT: Final = 8  # replies that may wait for a caller who does not read

ReplyT = TypeVar("ReplyT")
T = TypeVar("T")


class Outbox(Generic[ReplyT]):
    """A short queue of replies: who fills it waits for the caller to read."""

    def __init__(self) -> None:
        self._unsent: asyncio.Queue[ReplyT | BaseException | None] = asyncio.Queue(_UNSENT)
        self._running: set[asyncio.Task[Any]] = set()
        self._said = time.monotonic()  # when, the last time

    async def replies(
        self, giving: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]
    ) -> AsyncGenerator[ReplyT, None]:
        """What is said, until ``giving`` has ended, or one of all has failed: raises its error.

        Ends everything that was started, however it is left.
        """
        self.start(self._run(giving, *others))
        try:
            while (item := await self._unsent.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def say(self, reply: ReplyT) -> None:
        """Puts ``reply`` behind the others; waits while too many are unsent."""
        await self._unsent.put(reply)
        self._said = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Whether :meth:`say` would wait."""
        return self._unsent.full()

    async def show_life(self, sign: Callable[[], ReplyT], seconds: float) -> None:
        """Says ``sign()`` whenever nothing has been said for so long, for ever: slow is not dead."""
        while True:
            await asyncio.sleep(self._said + seconds - time.monotonic())
            if time.monotonic() - self._said >= seconds:
                await self.say(sign())

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Runs ``work`` beside; it ends with the replies at the latest."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: who waits for the task gets it; nobody may

    async def _run(self, giving: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]) -> None:
        last = self.start(giving)
        parts: set[asyncio.Task[Any]] = {last, *map(self.start, others)}
        failure: BaseException | None = None
        while failure is None and not last.done():
            done, parts = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            failure = next((error for task in done if (error := task.exception())), None)
        await self._unsent.put(failure)

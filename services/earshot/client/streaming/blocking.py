"""The stream for programs that wait for each event.

It runs the asyncio stream on an event loop in a thread of its own. A stream reads and writes at the same
time: without asyncio that would be threads for each of them, and a second state machine's worth of
locks; this way there is one implementation, and cancelling works at any point.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType

    from earshot.client.streaming.events import Event, StreamResult, Summary
    from earshot.client.streaming.stream import AsyncStream

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread that holds up no exit; begun at its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` gives or raises; it is cancelled where waiting for it is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Ends the thread."""
        with self._lock:
            loop, thread, self._loop = self._loop, self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="earshot-streams", daemon=True
                )
                self._thread.start()
            return self._loop


class Stream(Iterator["Event"]):
    """What is heard in a source, event by event; goes on by itself after a break.

    Iterate it once, to its end; ``result`` grows meanwhile, and has ``summary`` afterwards. Leave it
    early by ``close``, or use it as a context manager. An iterator given as the source is run in
    another thread.

    Raises from :mod:`earshot.errors`, and what the source raises as it is.
    """

    def __init__(self, loop: LoopThread, stream: AsyncStream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def result(self) -> StreamResult:
        """All that has become final so far."""
        return self._stream.result

    @property
    def summary(self) -> Summary | None:
        """The service's account; None before the end."""
        return self._stream.summary

    def __next__(self) -> Event:
        event = self._loop.run(self._next())
        if event is None:
            raise StopIteration
        return event

    def finish(self) -> None:
        """Takes no more from the source: the stream ends when what was taken is final."""
        self._loop.run(self._finish())

    def relabel(self, labels: Sequence[str]) -> None:
        """Scores what is heard from here on against other labels; see :meth:`AsyncStream.relabel`."""
        self._loop.run(self._relabel(labels))

    def close(self) -> None:
        """Ends the stream where it stands; what was not final is lost."""
        self._loop.run(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self) -> Event | None:
        # StopAsyncIteration cannot cross into another thread's future.
        return await anext(self._stream, None)

    async def _relabel(self, labels: Sequence[str]) -> None:
        self._stream.relabel(labels)

    async def _finish(self) -> None:
        self._stream.finish()

"""Pieces of audio from where they come: blocking iterators in a thread, and recordings at their own speed."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

T = TypeVar("T")

PIECE: Final = 32 * 1024  # bytes; longer pieces are cut
PACE: Final = 0.1  # seconds of audio in a piece of a recording that is sent as fast as it was spoken


class Puller:
    """Makes blocking calls, one after the other, in a thread that holds up no exit.

    The threads of asyncio's own pool are waited for when the program ends: a read from a terminal or a
    pipe may never return.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], T]) -> T:
        """What ``function`` gives or raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(partial(_run, function, loop, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="earshot-source", daemon=True)
            self._thread.start()
        return await future

    async def iterate(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces; each is asked for when it is wanted."""
        while (piece := await self.call(partial(next, pieces, None))) is not None:
            yield piece

    def close(self) -> None:
        """Lets the thread end, once the call that it makes has returned."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _run(function: Callable[[], T], loop: asyncio.AbstractEventLoop, future: asyncio.Future[T]) -> None:
    try:
        settle: Callable[[], Any] = partial(_set, future, function())
    except Exception as error:
        settle = partial(_fail, future, error)
    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:  # the loop has closed: nobody waits any more
        return


def _set(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def cut(pieces: Iterator[bytes], size: int = PIECE) -> Iterator[bytes]:
    """The same bytes in pieces of at most ``size``; none is empty."""
    for piece in pieces:
        for at in range(0, len(piece), size):
            yield bytes(piece[at : at + size])


async def cut_async(pieces: AsyncIterator[bytes], size: int = PIECE) -> AsyncIterator[bytes]:
    """The same as :func:`cut`."""
    async for piece in pieces:
        for at in range(0, len(piece), size):
            yield bytes(piece[at : at + size])


async def paced(
    pieces: AsyncIterator[bytes],
    frames: tuple[int, int],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> AsyncIterator[bytes]:
    """Raw samples as a microphone gives them: each piece when it would have been spoken.

    ``frames`` are the bytes of a frame and the frames of a second. Time that the taker loses is made
    up for: the clock of the audio does not stop.
    """
    frame, rate = frames
    start, given = clock(), 0
    async for piece in cut_async(pieces, frame * max(1, round(rate * PACE))):
        given += len(piece)
        await sleep(max(0.0, start + given / (frame * rate) - clock()))
        yield piece

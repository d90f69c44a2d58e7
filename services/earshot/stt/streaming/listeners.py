"""The listener processes as a stream sees them: one of them is its own for as long as it lives."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from earshot.runtime.blobs import Blob
from earshot.runtime.pool import Pool
from earshot.stt.streaming import wire

_INLINE: Final = 8 * 1024  # bytes that go in the message itself: cheaper than a descriptor of their own


class Ear:
    """One stream in its listener."""

    def __init__(self, pool: Pool, stream: int, *, alone: bool) -> None:
        """``alone``: what it is sent goes to the listener by itself, and not with what others are sent."""
        self._pool, self._stream, self._alone = pool, stream, alone

    async def push(self, data: bytes, *, last: bool = False) -> tuple[wire.Heard, Blob | None]:
        """Hears ``data``. The caller owns the blob: the samples of ``Heard.span``.

        Raises ``InvalidArgumentError`` for audio that cannot be used, ``UnavailableError`` when the listener
        has died, and ``InternalError``, reason ``WORKER_DIED``, when it was at work on this.
        """
        if len(data) <= _INLINE:
            return await self._send(wire.Push(self._stream, data, last))
        with Blob.of(data) as blob:
            return await self._send(wire.Push(self._stream, b"", last), blob)

    async def peek(self) -> tuple[wire.Heard, Blob | None]:
        """The stretch that goes on, if any, as far as it has been heard."""
        return await self._send(wire.Peek(self._stream))

    async def _send(
        self, message: msgspec.Struct, blob: Blob | None = None
    ) -> tuple[wire.Heard, Blob | None]:
        outcome = await self._pool.submit(wire.encode(message), blob, alone=self._alone)
        return wire.decode_heard(outcome.body), outcome.blob


class Listeners:
    """Pools of one process each: what a stream sends must go to the process that knows it."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self._streams = dict.fromkeys(pools, 0)
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        """Starts the processes. Raises what keeps one from starting."""
        for pool in self._streams:
            await pool.start()

    async def stop(self) -> None:
        """Ends them; streams fail with ``UnavailableError``."""
        for pool in self._streams:
            await pool.stop()

    @contextlib.asynccontextmanager
    async def listening(self, opening: wire.Open, *, alone: bool = False) -> AsyncIterator[Ear]:
        """An ear for a new stream, in the process that has the fewest; ``opening.stream`` is set here.

        Raises ``InternalError`` when that process died meanwhile; see :class:`Ear` for ``alone``.
        """
        pool = min(self._streams, key=self._streams.__getitem__)
        number = next(self._numbers)
        self._streams[pool] += 1
        try:
            await pool.submit(wire.encode(msgspec.structs.replace(opening, stream=number)), alone=alone)
            yield Ear(pool, number, alone=alone)
        finally:
            self._streams[pool] -= 1
            pool.post(wire.encode(wire.Close(number)))

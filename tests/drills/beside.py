"""Live streams beside something else: again and again, until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.drills.drill import Result
from tests.drills.speech import DIGITS, Heard, Recording, difference, recordings, stream

_SPEED = 1.5  # times the pace of speech


class Streams:
    """Those under way, and what has come of those before them."""

    def __init__(self, target: str, expected: list[list[str]]) -> None:
        """``expected``: what is heard where nothing happens."""
        self.stopping = False
        self._target = target
        self._expected = expected
        self._ended: list[tuple[int, Heard]] = []  # with the number of the recording

    async def go_on(self, number: int, recording: Recording) -> None:
        """One after the other; the last is waited for."""
        while not self.stopping:
            self._ended.append((number, await stream(self._target, recording, _SPEED, None)))

    def judge(self, result: Result) -> None:
        """All must be complete, and no word of them be lost or doubled."""
        heard = [one for _, one in self._ended]
        found = difference(
            [self._expected[number] for number, _ in self._ended], [one.words for one in heard]
        )
        complete = sum(one.complete for one in heard)
        result.counts |= {
            "streams": len(heard),
            "complete": complete,
            "words lost": found.lost,
            "doubled": found.doubled,
            "reconnects": sum(one.breaks for one in heard),
        }
        why = sorted({f"{type(one.error).__name__}: {one.error}" for one in heard if one.error})
        result.must(heard, "nothing was streamed")
        result.must(complete == len(heard), f"{len(heard) - complete} streams not complete {'; '.join(why)}")
        result.must(
            not found.lost and not found.doubled,
            f"{found.lost} words lost, {found.doubled} doubled in streams",
        )


@asynccontextmanager
async def streaming(target: str, count: int = 3, seconds: float = 15.0) -> AsyncIterator[Streams]:
    """So many at all times; they are heard once before, where nothing happens."""
    spoken = recordings(DIGITS, seconds)[:count]
    undisturbed = await asyncio.gather(*(stream(target, one, _SPEED, None) for one in spoken))
    if broken := [one.error for one in undisturbed if not one.complete]:
        raise RuntimeError(f"a stream is not complete with nothing broken: {broken[0]}")
    streams = Streams(target, [one.words for one in undisturbed])
    running = [asyncio.create_task(streams.go_on(number, one)) for number, one in enumerate(spoken)]
    try:
        yield streams
    finally:
        streams.stopping = True
        await asyncio.gather(*running)

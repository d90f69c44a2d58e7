"""Live streams beside something else: again and again, until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.drills.drill import Result
from tests.drills.speech import DIGITS, Heard, Recording, recordings, stream
from tests.drills.streams import judge, labelled, sound

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
        """All must be complete, and word for word what they were where nothing happened."""
        result.must(self._ended, "nothing was streamed")
        expected = [self._expected[number] for number, _ in self._ended]
        judge([one for _, one in self._ended], expected, result)


@asynccontextmanager
async def streaming(target: str, count: int = 3, seconds: float = 15.0) -> AsyncIterator[Streams]:
    """So many at all times; they are heard once before, where nothing happens."""
    spoken = [labelled(one, number) for number, one in enumerate(recordings(DIGITS, seconds)[:count])]
    undisturbed = await asyncio.gather(*(stream(target, one, _SPEED, None) for one in spoken))
    streams = Streams(target, sound(undisturbed, spoken))
    running = [asyncio.create_task(streams.go_on(number, one)) for number, one in enumerate(spoken)]
    try:
        yield streams
    finally:
        streams.stopping = True
        await asyncio.gather(*running)

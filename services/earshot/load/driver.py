"""Makes the calls: so many at a time, or so many a second whatever becomes of them.

At a rate, a call's time counts from when it was due and not from when it could be sent: else a service
that stalls would look fast ("coordinated omission", Tene 2013).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from earshot import errors
from earshot.load.tally import LoadReport, Tally
from earshot.rpc.status import code_of

if TYPE_CHECKING:
    from earshot.client import AsyncClient
    from earshot.load.work import Work

_UNDER_WAY: Final = 1000  # calls at a time, where a rate is asked for


@dataclass(frozen=True, slots=True)
class Pace:
    """How many calls, and when. Raises InvalidArgumentError for what is no pace."""

    concurrency: int = 0  # calls at a time; 0: 8, or 1,000 at a rate
    rate: float = 0.0  # calls a second; 0: the next one when one is answered
    seconds: float = 10.0  # no call begins later
    calls: int = 0  # and no more than so many; 0: any number

    def __post_init__(self) -> None:
        if min(self.concurrency, self.rate, self.calls) < 0 or self.seconds <= 0:
            raise errors.InvalidArgumentError(
                "a pace has no negative numbers, and some seconds", field="pace"
            )

    @property
    def at_a_time(self) -> int:
        """Calls under way at most."""
        return self.concurrency or (_UNDER_WAY if self.rate else 8)


class Driver:
    """One load on one client."""

    def __init__(self, client: AsyncClient, mix: Sequence[tuple[Work, float]], pace: Pace) -> None:
        """``mix``: each work, and how often it comes, as a weight."""
        self._client, self._mix, self._pace = client, mix, pace
        self.tally = Tally()
        self._started = time.monotonic()

    async def warm_up(self) -> None:
        """Each work once, uncounted; its answer is what later ones are held against. Raises its errors."""
        for work, _ in self._mix:
            self.tally.expect(work, await work.send(self._client))

    async def run(self, tell: Callable[[float, Tally], None] = lambda _seconds, _tally: None) -> LoadReport:
        """The whole load; ``tell`` is called as each call ends, with the seconds so far."""
        self._started = started = time.monotonic()
        due = self._due(started)
        callers = [self._caller(due, started, tell) for _ in range(self._pace.at_a_time)]
        await asyncio.gather(*callers)
        return self.report()

    def report(self) -> LoadReport:
        """What has come of it so far."""
        return self.tally.report(time.monotonic() - self._started)

    def _due(self, started: float) -> Iterator[tuple[Work, float]]:
        """The calls in their order, each with the time at which it is due."""
        works, weights = zip(*self._mix, strict=True)
        chance = random.Random(0)  # noqa: S311 - the same order in every run
        number, pace = 0, self._pace
        while not pace.calls or number < pace.calls:
            at = started + number / pace.rate if pace.rate else time.monotonic()
            if at >= started + pace.seconds:
                return
            number += 1
            yield chance.choices(works, weights)[0], at

    async def _caller(
        self, due: Iterator[tuple[Work, float]], started: float, tell: Callable[[float, Tally], None]
    ) -> None:
        for work, at in due:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            await self._call(work, at)
            tell(time.monotonic() - started, self.tally)

    async def _call(self, work: Work, at: float) -> None:
        try:
            answer = await work.send(self._client)
        except errors.EarshotError as error:
            self.tally.failed(work, code_of(error).name)
        else:
            self.tally.answered(work, answer, time.monotonic() - at)

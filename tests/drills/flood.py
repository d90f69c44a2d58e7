"""More than can be done: offered at a pace, whatever becomes of what came before; and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from earshot import errors
from earshot.load.tally import percentiles
from tests.drills.drill import Result

TIMES: Final = 10  # as much as the service can do
_OFFERED: Final = 0.9  # of the pace that was meant: with less it would be another drill
_REFUSED: Final = 0.1  # seconds


@dataclass
class Refusals:
    """Of what was offered: what was refused, and how soon; and what failed otherwise."""

    seconds: list[float] = field(default_factory=list)
    no_hint: int = 0  # were not told when to come back
    failed: list[str] = field(default_factory=list)  # what those said

    def note(self, error: errors.EarshotError, seconds: float) -> None:
        """One more, after so long."""
        if isinstance(error, errors.ResourceExhaustedError):
            self.seconds.append(seconds)
            self.no_hint += error.retry_after <= 0
        else:
            self.failed.append(f"{type(error).__name__}: {error}")

    def judge(self, result: Result, what: str, *, times: bool) -> None:
        """``what`` is one of those offered. ``times``: they must have been refused soon, too."""
        result.counts |= {
            f"{what}s refused": len(self.seconds),
            f"{what}s failed otherwise": len(self.failed),
            f"ms p50 of a refused {what}": 1000 * at(self.seconds, "p50"),
            f"ms p99 of a refused {what}": 1000 * at(self.seconds, "p99"),
            f"ms of the longest refusal of a {what}": 1000 * at(self.seconds, "max"),
        }
        said, late = "; ".join(sorted(set(self.failed))), at(self.seconds, "p99")
        result.must(self.seconds, f"no {what} was refused: that was no overload")
        result.must(not self.no_hint, f"{self.no_hint} {what}s were refused without RetryInfo")
        result.must(not self.failed, f"{what}s failed otherwise ({said})")
        if times:
            result.must(late < _REFUSED, f"{what}s were refused after {1000 * late:.0f} ms (p99)")


@dataclass(frozen=True)
class Flood:
    """What was offered. Times are of time.monotonic."""

    calls: list[asyncio.Task[object]]  # some are under way
    begun: float
    ended: float  # when the last was begun
    share: asyncio.Task[float]  # that has come to the service, of what was to come

    async def judge(self, result: Result, what: str) -> None:
        """The load comes from the same machine, and may lag behind."""
        share = await self.share
        result.counts[f"of the {what}s meant to come"] = share
        result.must(share >= _OFFERED, f"of the {what}s that were to come there came {share:.2f}")


async def flood(
    arrived: Callable[[], Awaitable[float]],
    rate: float,
    seconds: float,
    begin: Callable[[int], Coroutine[Any, Any, object]],
) -> Flood:
    """``rate`` a second. Returns when the last has begun, whatever is under way still.

    ``arrived`` says how many have ever come to the service.
    """
    before, begun, calls = await arrived(), time.monotonic(), list[asyncio.Task[object]]()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
        calls.append(asyncio.create_task(begin(number)))
    ended = time.monotonic()

    async def share() -> float:
        return (await arrived() - before) / (rate * (ended - begun))

    return Flood(calls, begun, ended, asyncio.create_task(share()))


def at(seconds: Iterable[float], share: str) -> float:
    """By the name of :func:`earshot.load.tally.percentiles`; 0 of none."""
    return percentiles(list(seconds)).get(share, 0.0)

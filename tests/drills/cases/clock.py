"""The clock of the machine is set."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.drills.calls import calling, known
from tests.drills.drill import CannotError, Drill, Form, Result
from tests.drills.speech import CHECKPOINT, DIGITS, Recording, difference, recordings, stream
from tests.drills.stack import Setup, Stack, running

_PLACES = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1")
_JUMPS = ("+2h", "-1h", "+30d", "-10s", "+0")  # from the true time; each is held for a while
_STREAMS = 4
_UP = (sys.executable, "-m", "tests.drills.clocked")


@dataclass(frozen=True)
class _World:
    stack: Stack
    clock: Path  # what is written here is how far it is off


@asynccontextmanager
async def _scene(_: Form) -> AsyncIterator[_World]:
    library = _library()
    if library is None:
        raise CannotError("there is no libfaketime: apt-get install libfaketime")
    with TemporaryDirectory(prefix="earshot-drill-") as folder:
        clock = Path(folder) / "clock"
        clock.write_text("+0")
        environment = {
            "EARSHOT_DRILL_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # which no clock that is set moves
        }
        setup = Setup("faster-whisper", CHECKPOINT, environment=environment, up=_UP)
        async with running(setup) as stack:
            yield _World(stack, clock)


def _library() -> Path | None:
    return next((found for place in _PLACES for found in Path("/").glob(place)), None)


async def _run(world: _World, form: Form) -> Result:
    result, stack = Result({"jumps": len(_JUMPS)}), world.stack
    works = await known(stack.target)
    spoken = recordings(DIGITS, 40.0)[:_STREAMS]
    undisturbed = await _streamed(stack, spoken)
    async with calling(stack.target, works, callers=3) as load:
        streaming = asyncio.create_task(_streamed(stack, spoken))
        for jump in _JUMPS:
            world.clock.write_text(jump)
            await asyncio.sleep(4 if form.short else 15)
            stack.kill_envoy()  # streams go on by tokens that were sealed at another time
        heard = await streaming
    load.judge(result)
    found = difference(undisturbed, heard)
    result.counts |= {"words streamed": sum(map(len, heard)), "lost": found.lost, "doubled": found.doubled}
    result.must(not found.lost and not found.doubled, f"{found.lost} words lost, {found.doubled} doubled")
    return result


async def _streamed(stack: Stack, spoken: list[Recording]) -> list[list[str]]:
    heard = await asyncio.gather(*(stream(stack.target, one, 1.5, None) for one in spoken))
    if errors := [one.error for one in heard if one.error]:
        raise errors[0]
    return [one.words for one in heard]


DRILL = Drill(
    "clock",
    "the services' clock set two hours ahead, an hour back, a month ahead, under calls and live streams",
    "no call fails, no word is lost or doubled",
    _scene,
    _run,
    short=False,
)

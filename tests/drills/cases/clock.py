"""The clock of the machine is set."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from earshot.local.state import StateFolder
from tests.drills.calls import calling, known
from tests.drills.drill import CannotError, Drill, Form, Result, Strikes
from tests.drills.speech import CHECKPOINT, DIGITS, Heard, Recording, recordings, stream
from tests.drills.stack import Setup, Stack, running
from tests.drills.streams import judge, judge_breaks, sound

_PLACES = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1")
# From the true time, for libfaketime and in seconds; each is held for a while.
_JUMPS: Final = {"+2h": 7_200, "-1h": -3_600, "+30d": 30 * 86_400, "-10s": -10, "+0": 0}
_NEAR: Final = 5.0  # seconds
_STREAMS = 4
_SPEED = 1.5  # times the pace of speech
_UP = (sys.executable, "-m", "tests.drills.clocked")
_SHARED, _ITS = Path("/dev/shm"), "*faketime_s*"


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
        with _swept():
            async with running(setup) as stack:
                yield _World(stack, clock)


@contextmanager
def _swept() -> Iterator[None]:
    """libfaketime leaves something of each process that ends by a signal."""
    before = set(_SHARED.glob(_ITS))
    try:
        yield
    finally:
        for left in set(_SHARED.glob(_ITS)) - before:
            left.unlink()


def _library() -> Path | None:
    return next((found for place in _PLACES for found in Path("/").glob(place)), None)


async def _run(world: _World, form: Form) -> Result:
    result, stack, strikes, seen = Result(), world.stack, Strikes(), 0
    works, held = await known(stack.target), 4.0 if form.short else 15.0
    # Longer than all jumps together, or the last of them would meet no stream.
    spoken = recordings(DIGITS, _SPEED * held * (len(_JUMPS) + 1))[:_STREAMS]
    expected = sound(await _streamed(stack, spoken), spoken)
    async with calling(stack.target, works, callers=3) as load:
        streaming = asyncio.create_task(_streamed(stack, spoken))
        for jump, seconds in _JUMPS.items():
            world.clock.write_text(jump)
            await asyncio.sleep(held)
            seen += _is_off_by(stack, seconds)
            strikes.note(stack.kill_envoy())  # streams go on by tokens that were sealed at another time
        result.must(not streaming.done(), "streams were over before the last jump was")
        heard = await streaming
    result.counts["jumps"] = seen
    result.must(seen == len(_JUMPS), f"the services' clock was set {len(_JUMPS)} times, and they saw {seen}")
    strikes.judge(result)
    load.judge(result)
    judge(heard, expected, result)
    judge_breaks(heard, _STREAMS / 2 * strikes.struck, result)
    return result


def _is_off_by(stack: Stack, seconds: float) -> bool:
    """Whether a replica has a call that ended just now by a clock that is off by so much."""
    due = time.time() + seconds
    logs = StateFolder(stack.state).logs.glob("*-[0-9].log")
    return any(abs(ended - due) < _NEAR for log in logs for ended in _last_call(log))


def _last_call(log: Path) -> list[float]:
    """When it ended, by its line; nothing where there was none."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if '"event":"call"' in line]
    return [datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() for line in lines[-1:]]


async def _streamed(stack: Stack, spoken: list[Recording]) -> list[Heard]:
    return await asyncio.gather(*(stream(stack.target, one, _SPEED, None) for one in spoken))


DRILL = Drill(
    "clock",
    "the services' clock set two hours ahead, an hour back, a month ahead, under calls and live streams",
    "no call fails, no word is lost or doubled",
    _scene,
    _run,
    short=False,
)

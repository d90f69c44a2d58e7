"""Little room in /dev/shm, which audio on its way between processes does not need."""

from __future__ import annotations

import asyncio
import os
from typing import Final

from tests.drills.calls import Load, calling
from tests.drills.cramped import SMALL, cramped, long_calls
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import Stack
from tests.drills.watch import in_shared_memory, must_be_root

_CALLERS: Final = 12
_CALLS: Final = 160  # in the long form
_PAUSE: Final = 0.1  # seconds between looks


async def _run(stack: Stack, form: Form) -> Result:
    must_be_root()
    result = Result()
    room = _room(stack)
    result.must(room <= SMALL, f"there are {room / 1e6:.0f} MB in /dev/shm")
    works = await long_calls(stack.target)
    async with calling(stack.target, works, callers=_CALLERS) as load:
        most = await _most(stack, load, _CALLERS if form.short else _CALLS)
    load.judge(result)
    result.counts["MB of audio in shared memory at once"] = round(most / 1e6)
    result.must(most > room, f"no more than {most / 1e6:.0f} MB were in shared memory at once")
    return result


def _room(stack: Stack) -> int:
    """Bytes that /dev/shm has, as the stack sees it."""
    disk = os.statvfs(f"/proc/{stack.process.pid}/root/dev/shm")
    return disk.f_blocks * disk.f_frsize


async def _most(stack: Stack, load: Load, calls: int) -> int:
    """The most bytes of audio that were in shared memory, until so many calls are done."""
    most = 0
    while load.tally.done < calls:
        most = max(most, await asyncio.to_thread(in_shared_memory, stack))
        await asyncio.sleep(_PAUSE)
    return most


DRILL = Drill(
    "small_memory",
    "64 MB in /dev/shm, and calls with more audio than that in shared memory at once",
    "no call fails: audio on its way does not need /dev/shm",
    cramped,
    _run,
)

"""Little shared memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.drills.calls import calling, hearing, phrases, sure
from tests.drills.cramped import cramped
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import Stack

_SILENCE = bytes(300 * 32_000)  # five minutes: 9.6 MB as it comes, and again when decoded
_CALLERS = 8


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    clips = [replace(one, samples=one.samples + _SILENCE) for one in phrases(1.5, 8)]
    works = await sure(stack.target, [hearing(one) for one in clips])
    async with calling(stack.target, works, callers=_CALLERS) as load:
        while load.tally.done < (_CALLERS if form.short else 20 * _CALLERS):
            await asyncio.sleep(0.2)
    load.judge(result)
    result.counts["MB in memory at once"] = round(2 * len(_SILENCE) * _CALLERS / 1e6)
    return result


DRILL = Drill(
    "small_memory",
    "64 MB in /dev/shm, and calls whose audio is more than twice that",
    "no call fails",
    cramped,
    _run,
)

"""Requests that kill, or lock up, whatever works on them."""

from __future__ import annotations

import asyncio

from earshot import errors
from earshot.client import AsyncClient
from tests.drills.calls import calling, known
from tests.drills.drill import Drill, Form, Result
from tests.drills.faulty.engine import CRASH, LOCK
from tests.drills.faulty.scene import bring_out, faulty
from tests.drills.figures import total
from tests.drills.stack import Stack

_TRIES = 2


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    poisons = [CRASH, LOCK] * (1 if form.short else 3)
    works = await known(stack.target)
    before = await _restarts(stack)
    async with calling(stack.target, works, callers=3) as load, AsyncClient(stack.target) as client:
        for poison in poisons:
            await _one(client, poison, result)
    after = await _restarts(stack)
    load.judge(result)
    result.counts |= {"poisoned calls": len(poisons), "engines lost to them": after - before}
    lost = after - before
    result.must(lost == _TRIES * len(poisons), f"{lost} engines lost to {len(poisons)} calls")
    return result


async def _one(client: AsyncClient, poison: int, result: Result) -> None:
    try:
        await bring_out(client, poison)
    except errors.InternalError as error:
        result.must(error.reason == "WORKER_DIED", f"a poisoned call ended with the reason {error.reason}")
    except errors.EarshotError as error:
        result.must(holds=False, what=f"a poisoned call ended as {type(error).__name__}: {error}")
    else:
        result.must(holds=False, what="a poisoned call was answered")


async def _restarts(stack: Stack) -> int:
    """Of engines, on all replicas; once each has its engine again."""
    while True:
        rows = await stack.serving()
        ready = await total(rows, "earshot_workers_ready", pool="engines")
        if len(rows) == stack.setup.stt and ready == len(rows):
            return int(await total(rows, "earshot_worker_restarts_total", pool="engines"))
        await asyncio.sleep(0.3)


DRILL = Drill(
    "poison",
    "requests that crash the engine in native code, or lock it up for ever, among good ones",
    "one clear error after the second try, on one replica; no other call fails",
    faulty,
    _run,
)

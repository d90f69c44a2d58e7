"""Workers that hang, crash and leak, without any fault of those who wait for them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time

import psutil

from earshot import errors
from earshot.client import AsyncClient
from tests.drills.calls import calling, known
from tests.drills.drill import Drill, Form, Result
from tests.drills.faulty.engine import LEAK, LEAKED
from tests.drills.faulty.scene import bring_out, engines, faulty
from tests.drills.stack import Stack

_NOTICED = 5.0  # seconds


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await known(stack.target)
    rounds = 1 if form.short else 5
    async with calling(stack.target, works) as load:
        stopped = [await _struck(stack, signal.SIGSTOP, n) for n in range(rounds)]
        crashed = [await _struck(stack, signal.SIGSEGV, n) for n in range(rounds)]
        leaks = await _leak(stack, result)
    await stack.settled()
    load.judge(result)
    result.counts |= {
        "s until a stopped worker was noticed": max(stopped),
        "s until a crashed one was": max(crashed),
        "calls that leaked": leaks,
    }
    if not form.short:
        result.must(max(stopped + crashed) <= _NOTICED, f"noticed after {max(stopped + crashed):.1f} s")
    return result


async def _struck(stack: Stack, what: signal.Signals, number: int) -> float:
    """Seconds from the signal to the end of the process that got it; waits for the one that replaces it."""
    before = await _all_engines(stack)
    pid = before[sorted(before)[number % len(before)]]
    started = time.monotonic()
    os.kill(pid, what)
    while psutil.pid_exists(pid):
        await asyncio.sleep(0.05)
    seconds = time.monotonic() - started
    await _all_engines(stack)
    return seconds


async def _all_engines(stack: Stack) -> dict[str, int]:
    while len(found := await engines(stack)) < stack.setup.stt:
        await asyncio.sleep(0.2)
    return found


async def _leak(stack: Stack, result: Result) -> int:
    """Each engine may have twice what a call leaks; then enough calls for all to meet that limit."""
    before = await _all_engines(stack)
    for pid in before.values():
        limit = psutil.Process(pid).memory_info().data + 2 * LEAKED
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    calls = 4 * len(before)
    async with AsyncClient(stack.target) as client:
        for _ in range(calls):
            try:
                await bring_out(client, LEAK)
            except errors.EarshotError as error:
                what = f"{type(error).__name__}: {error}"
                result.must(
                    holds=False, what=f"a call was not answered because an engine had leaked ({what})"
                )
    result.must(before != await _all_engines(stack), "no engine met its limit of memory")
    return calls


DRILL = Drill(
    "broken_worker",
    "engines stopped (SIGSTOP), crashed (SIGSEGV), and leaking up to a limit of memory, under calls",
    "noticed in 5 s, replaced; no call fails, no answer is wrong",
    faulty,
    _run,
)

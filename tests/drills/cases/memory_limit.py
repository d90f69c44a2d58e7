"""A replica may take hardly any more memory; audio in shared memory counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from tests.drills.calls import Load, calling
from tests.drills.cramped import cramped, little_memory, long_calls
from tests.drills.drill import Drill, Form, Result
from tests.drills.stack import Stack

_CALLERS: Final = 6
_LIMIT: Final = 64 * 2**20  # bytes
_PATIENCE: Final = 60.0  # seconds
_PAUSE: Final = 0.02  # seconds between looks


async def _run(stack: Stack, form: Form) -> Result:
    result = Result()
    works = await long_calls(stack.target)
    front = psutil.Process((await stack.serving())[0]["pid"])
    async with calling(stack.target, works, callers=_CALLERS) as load:
        pids = [front.pid, *(child.pid for child in front.children(recursive=True))]
        with little_memory(pids, _LIMIT) as group:
            audio = await _met(group)
            await asyncio.sleep(2 if form.short else 30)
            killed = _killed(group)
        await stack.settled()
        await _answered(load, _CALLERS)
    load.judge(result)
    result.counts |= {"processes killed by it": killed, "MB of it audio in shared memory": round(audio / 1e6)}
    result.must(killed, "the replica did not meet its limit")
    result.must(audio, "no audio in shared memory counted")
    return result


async def _met(group: Path) -> int:
    """Until the limit was met, and for no longer than that must take: the most shared memory that counted."""
    most = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while not _killed(group):
                most = max(most, _figures(group, "memory.stat")["shmem"])
                await asyncio.sleep(_PAUSE)
    return most


async def _answered(load: Load, calls: int) -> None:
    """As many calls again."""
    until = load.tally.done + calls
    while load.tally.done < until:
        await asyncio.sleep(0.1)


def _killed(group: Path) -> int:
    """How many processes of the group the kernel has killed because there was no memory for them."""
    return _figures(group, "memory.oom_control")["oom_kill"]


def _figures(group: Path, name: str) -> dict[str, int]:
    """A line each: what, and how much."""
    rows = (line.split() for line in (group / name).read_text().splitlines())
    return {what: int(value) for what, value in rows}


DRILL = Drill(
    "memory_limit",
    "a replica that may take 64 MB more (cgroup of memory), and calls with more audio than that",
    "no call fails, no answer is wrong; it serves again when it can",
    cramped,
    _run,
    short=False,
)

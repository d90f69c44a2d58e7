"""A drill whose fault has struck nothing is not held."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import psutil
import pytest

from tests.drills.drill import Result, Strikes, beside
from tests.drills.stack import Setup, Stack


class Standing(Stack):
    """A stack of which these processes are said to serve."""

    def __init__(self, *pids: int) -> None:
        super().__init__(create_autospec(asyncio.subprocess.Process), 0, Path(), Setup("none"), Path())
        self.pids: Mapping[str, tuple[int, ...]] = {"stt": pids}

    async def serving(self, service: str = "stt") -> list[dict[str, Any]]:
        return [{"pid": pid} for pid in self.pids.get(service, ())]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def judged(*struck: bool) -> Result:
    strikes, result = Strikes(), Result()
    for each in struck:
        strikes.note(each)
    strikes.judge(result)
    return result


def test_strikes_are_counted() -> None:
    result = judged(True, True, True, True, False)

    assert (result.counts["strikes"], result.broken) == (4, [])


@pytest.mark.parametrize("struck", [(), (False,), (True, True, True, False, False)])
def test_too_few_are_no_fault(struck: tuple[bool, ...]) -> None:
    assert judged(*struck).broken


async def test_strikes_go_on_until_the_load_is_over() -> None:
    strikes, enough = Strikes(), asyncio.Event()

    async def strike(number: int) -> bool:
        if number == 9:
            enough.set()
        return number % 2 == 0

    async with beside(strikes.every(0.001, strike)):
        await enough.wait()

    assert strikes.struck == 5
    assert strikes.due >= 10


async def test_a_fault_that_fails_is_told() -> None:
    async def fails() -> None:
        raise OSError("no such way")

    with pytest.raises(OSError, match="no such way"):
        async with beside(fails()):
            await asyncio.sleep(0)


async def test_a_process_is_struck_once(sleeper: subprocess.Popen[bytes]) -> None:
    stack = Standing(sleeper.pid)

    assert await stack.signal_replica(0, signal.SIGKILL)
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        await asyncio.sleep(0.01)
    assert not await stack.signal_replica(0, signal.SIGKILL)


async def test_where_nobody_serves_nothing_is_struck() -> None:
    stack = Standing()

    assert not await stack.signal_replica(0, signal.SIGKILL)
    assert not await stack.kill_worker(0, "engine")


async def test_a_replica_without_such_a_worker_is_spared(sleeper: subprocess.Popen[bytes]) -> None:
    assert not await Standing(sleeper.pid).kill_worker(0, "listener")
    assert sleeper.poll() is None

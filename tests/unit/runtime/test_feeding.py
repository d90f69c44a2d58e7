"""What a worker is sent while it is still at work."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from earshot import errors
from earshot.runtime import feeding
from earshot.runtime.pool import Pool
from tests.unit.runtime.pools import pool, processes, until


async def warm(made: Pool) -> None:
    """It is known that jobs are short."""
    for _ in range(20):
        await made.submit(b"pid")


async def held(made: Pool, command: bytes) -> asyncio.Task[bytes]:
    """Something that a worker is at."""
    busy = made.busy
    task = asyncio.create_task(body(made, command))
    await until(lambda: made.busy > busy)
    return task


async def body(made: Pool, command: bytes) -> bytes:
    return (await made.submit(command)).body


async def test_a_worker_has_the_next_short_job_before_it_is_done_with_one() -> None:
    async with pool() as made:
        await warm(made)
        first = await held(made, b"sleep 0.3")
        second = asyncio.create_task(body(made, b"second"))
        third = asyncio.create_task(body(made, b"third"))
        await asyncio.sleep(0.05)
        assert made.waiting == 1  # the third
        assert not first.done()
        assert await asyncio.gather(first, second, third) == [b"sleep 0.3", b"second", b"third"]


async def test_nothing_is_sent_ahead_where_jobs_are_long() -> None:
    async with pool() as made:
        await made.submit(b"sleep 0.3")
        first = await held(made, b"sleep 0.3")
        second = asyncio.create_task(body(made, b"second"))
        await asyncio.sleep(0.05)
        assert made.waiting == 1
        await asyncio.gather(first, second)


async def test_nothing_is_sent_behind_what_is_large() -> None:
    async with pool() as made:
        await warm(made)
        first = await held(made, b"sleep 0.3" + b" " * feeding._SHORT_BYTES)
        second = asyncio.create_task(body(made, b"second"))
        await asyncio.sleep(0.05)
        assert made.waiting == 1
        await asyncio.gather(first, second)


async def test_nothing_is_sent_ahead_while_another_worker_is_idle() -> None:
    async with pool(workers=2) as made:
        await warm(made)
        first = await held(made, b"sleep 0.5")
        began = time.monotonic()
        assert await body(made, b"second") == b"second"
        assert time.monotonic() - began < 0.4
        await first


async def test_nothing_is_sent_ahead_that_could_still_become_a_batch() -> None:
    async with pool("Batches", max_batch=4) as made:
        sizes = await asyncio.gather(*(made.submit(b"x") for _ in range(40)))
        assert [int(size.body) for size in sizes] == [4] * 40


async def test_what_was_sent_ahead_is_not_to_blame_for_a_death(tmp_path: Path) -> None:
    restarts: list[str] = []
    async with pool(scratch=tmp_path, restarts=restarts) as made:
        await warm(made)
        first = await held(made, b"sleep 60")
        ahead = asyncio.create_task(body(made, b"die-once x"))
        await until(lambda: not made.waiting)
        os.kill(processes()[0].pid, signal.SIGKILL)
        await until(lambda: len(restarts) == 1)
        await until(lambda: made.busy == 1)
        await until(lambda: not made.waiting)
        os.kill(processes()[0].pid, signal.SIGKILL)
        await until(lambda: len(restarts) == 2)
        first.cancel()
        assert await ahead == b"die-once x"  # once of itself, and the next time it is done
        assert len(restarts) == 3


async def test_what_kills_a_worker_is_given_up_also_where_it_was_sent_ahead() -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        await warm(made)
        first = await held(made, b"sleep 0.2")
        poison = asyncio.create_task(body(made, b"abort"))
        after = asyncio.create_task(body(made, b"after"))
        with pytest.raises(errors.InternalError, match="not tried again"):
            await poison
        assert await asyncio.gather(first, after) == [b"sleep 0.2", b"after"]
        assert len(restarts) == 2


async def test_a_worker_that_is_found_dead_when_it_is_sent_something_is_replaced() -> None:
    """Before the loop has been told so."""
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        first = int(await body(made, b"pid"))
        os.kill(first, signal.SIGKILL)
        time.sleep(0.3)  # noqa: ASYNC251 - the loop must not look meanwhile
        assert int(await body(made, b"pid")) != first
        assert len(restarts) == 1


async def test_a_caller_that_leaves_does_not_end_the_work_that_comes_next(tmp_path: Path) -> None:
    async with pool(scratch=tmp_path) as made:
        await warm(made)
        first = await held(made, b"sleep 60")
        ahead = asyncio.create_task(body(made, b"sleep 0.2"))
        await until(lambda: not made.waiting)
        first.cancel()
        assert await ahead == b"sleep 0.2"
        assert (tmp_path / "cancelled").exists()


async def test_who_leaves_what_was_sent_ahead_disturbs_nobody() -> None:
    async with pool() as made:
        await warm(made)
        first = await held(made, b"sleep 0.3")
        ahead = asyncio.create_task(body(made, b"sleep 60"))
        await until(lambda: not made.waiting)
        ahead.cancel()
        assert await first == b"sleep 0.3"
        assert await body(made, b"on") == b"on"  # which is behind it


async def test_what_was_sent_ahead_fails_as_unavailable_when_the_pool_stops() -> None:
    async with pool() as made:
        await warm(made)
        first = await held(made, b"sleep 60")
        ahead = asyncio.create_task(body(made, b"second"))
        await until(lambda: not made.waiting)
    for task in (first, ahead):
        with pytest.raises(errors.UnavailableError):
            await task

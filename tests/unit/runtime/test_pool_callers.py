"""Callers who leave, or whose time passes."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from pathlib import Path

import psutil
import pytest

from earshot import errors
from earshot.runtime.batching import Pending
from earshot.runtime.feeding import _CancelWatch, _Sent
from earshot.runtime.pool import Pool
from earshot.runtime.task import Result
from earshot.runtime.workers import Exchange, WorkItem
from tests.unit.runtime.pools import pool, until


async def test_work_whose_deadline_has_passed_never_starts() -> None:
    async with pool() as made:
        ahead = asyncio.create_task(made.submit(b"sleep 0.3"))
        await asyncio.sleep(0.05)
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"late", deadline=time.monotonic() + 0.05)
        await ahead
        assert made.waiting == 0


async def test_a_deadline_ends_the_work_at_hand(tmp_path: Path) -> None:
    async with pool(scratch=tmp_path) as made:
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"sleep 60", deadline=time.monotonic() + 0.1)
        await until((tmp_path / "cancelled").exists)
        assert (await made.submit(b"on")).body == b"on"


async def test_a_caller_that_leaves_ends_the_work_at_hand(tmp_path: Path) -> None:
    async with pool(scratch=tmp_path) as made:
        caller = asyncio.create_task(made.submit(b"sleep 60"))
        await until(lambda: made.busy == 1)
        caller.cancel()
        await until((tmp_path / "cancelled").exists)


async def test_a_worker_that_does_not_heed_is_replaced() -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts, cancel_seconds=0.1) as made:
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"stuck 60", deadline=time.monotonic() + 0.1)
        assert (await made.submit(b"on")).body == b"on"
        assert len(restarts) == 1


async def test_a_worker_that_goes_on_with_what_is_expendable_is_left_to() -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts, cancel_seconds=0.1) as made:
        caller = asyncio.create_task(made.submit(b"stuck 1", expendable=True))
        await until(lambda: made.busy == 1)
        caller.cancel()
        assert (await made.submit(b"on")).body == b"on"
    assert not restarts


class _Request:
    """Stands for what a caller holds while it waits."""


async def _submit_holding(made: Pool, request: _Request, command: bytes) -> None:
    with pytest.raises(errors.EarshotError):
        await made.submit(command, deadline=time.monotonic() + 0.2)
    assert request


@pytest.mark.parametrize("command", [b"refuse", b"crash", b"sleep 60"])
async def test_a_failed_job_keeps_nothing_of_its_caller(command: bytes) -> None:
    """Without the garbage collector: it would come too late for requests of many megabytes."""
    async with pool() as made:
        gc.disable()
        try:
            request = _Request()
            left = weakref.ref(request)
            await _submit_holding(made, request, command)
            await asyncio.sleep(0)  # the loop holds what woke this very step
            del request
            assert left() is None
        finally:
            gc.enable()


async def test_what_nobody_waits_for_is_done_in_its_turn(tmp_path: Path) -> None:
    async with pool(scratch=tmp_path) as made:
        for command in (b"refuse", b"crash", b"pid"):
            made.post(command)
        assert made.waiting == 3
        assert (await made.submit(b"on")).body == b"on"
        assert made.waiting == 0


async def test_what_nobody_waits_for_any_more_is_not_in_the_queue() -> None:
    async with pool() as made:
        ahead = asyncio.create_task(made.submit(b"sleep 60"))
        await until(lambda: made.busy == 1)
        gone = asyncio.create_task(made.submit(b"gone"))
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"late", deadline=time.monotonic() + 0.05)
        await until(lambda: made.waiting == 1)
        gone.cancel()
        await until(lambda: made.waiting == 0)
        ahead.cancel()


class _Busy:
    """A worker as a watch sees it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def cancel(self, _: Exchange) -> None:
        self.told.append("cancel")

    def kill(self, why: str) -> None:
        self.told.append("kill")


async def test_a_caller_that_leaves_as_its_work_ends_kills_nobody_later() -> None:
    """Its future's callback is due already when the watch is closed, and comes all the same."""
    loop = asyncio.get_running_loop()
    job = Pending(WorkItem(b"", None), None, loop.create_future())
    worker = _Busy()
    sent = _Sent([job], Exchange(1, 1, loop.create_future()))
    watch = _CancelWatch(worker, sent, 0.01)  # type: ignore[arg-type]
    job.future.cancel()
    watch.close()
    await asyncio.sleep(0.05)
    assert worker.told == []


async def test_a_caller_that_leaves_as_its_result_comes_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    succeed = Pending.succeed

    def succeed_too_late(job: Pending, result: Result) -> None:
        succeed(job, result)
        caller.cancel()  # before the loop has woken it

    async with pool() as made:
        await made.submit(b"pid")
        before = psutil.Process().num_fds()
        monkeypatch.setattr(Pending, "succeed", succeed_too_late)
        for _ in range(5):
            caller = asyncio.create_task(made.submit(b"hello"))
            await asyncio.gather(caller, return_exceptions=True)
            assert caller.cancelled()
        assert psutil.Process().num_fds() == before

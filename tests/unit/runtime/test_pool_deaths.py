"""Workers that die or stand still, and what happens to what they had."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from earshot import errors
from earshot.runtime import workers
from earshot.runtime.blobs import Blob
from earshot.runtime.pool import Pool
from earshot.runtime.workers import Worker
from tests.unit.runtime.pools import TASKS, pool, until


async def test_a_lost_job_is_tried_once_more(tmp_path: Path) -> None:
    restarts: list[str] = []
    async with pool(scratch=tmp_path, restarts=restarts) as made:
        assert (await made.submit(b"die-once x")).body == b"die-once x"
        assert len(restarts) == 1


@pytest.mark.parametrize(
    ("command", "lost"), [(b"abort", 2), (b"starve", 2), (b"die", 3)], ids=["crash", "no memory", "killed"]
)
async def test_a_job_that_kills_its_workers_is_given_up_and_the_pool_lives(command: bytes, lost: int) -> None:
    """And nobody is told to try it again: others would die of it."""
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        with pytest.raises(errors.InternalError, match="not tried again") as caught:
            await made.submit(command)
        assert caught.value.reason == "WORKER_DIED"
        assert (await made.submit(b"on")).body == b"on"
        assert len(restarts) == lost


@pytest.mark.parametrize("expendable", [True, False])
async def test_what_is_expendable_or_may_not_be_tried_again_costs_one_worker(expendable: bool) -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts, tries=2 if expendable else 1) as made:
        with pytest.raises(errors.InternalError):
            await made.submit(b"abort", expendable=expendable)
        assert (await made.submit(b"on")).body == b"on"
        assert len(restarts) == 1


async def test_where_no_process_can_be_started_who_waits_is_sent_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is served again once there can be one."""
    async with pool() as made:
        spawn = Worker.spawn

        async def failing(threads: int, name: str) -> Worker:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        monkeypatch.setattr(Worker, "spawn", failing)
        with pytest.raises(errors.UnavailableError, match="processes") as waiting:
            await made.submit(b"die")
        with pytest.raises(errors.UnavailableError, match="processes"):
            await made.submit(b"on")
        assert waiting.value.reason == "OUT_OF_RESOURCES"
        monkeypatch.setattr(Worker, "spawn", spawn)
        await until(lambda: _ready(made) == 1)
        assert (await made.submit(b"on")).body == b"on"


async def test_one_worker_that_lives_is_enough_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts, workers=2) as made:

        async def failing(threads: int, name: str) -> Worker:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        monkeypatch.setattr(Worker, "spawn", failing)
        os.kill(int((await made.submit(b"pid")).body), signal.SIGKILL)
        await until(lambda: len(restarts) >= 2)  # its death, and that there is no other
        assert (await made.submit(b"on")).body == b"on"


async def test_what_kills_a_worker_dies_alone() -> None:
    """Of what was in its batch."""
    async with pool("Together", max_batch=8) as made:
        ahead = asyncio.create_task(made.submit(b"ahead"))
        good = [asyncio.create_task(made.submit(f"good {n}".encode())) for n in range(5)]
        bad = asyncio.create_task(made.submit(b"abort"))
        outcomes = await asyncio.gather(ahead, *good)
        assert [one.body for one in outcomes] == [b"ahead", *(f"good {n}".encode() for n in range(5))]
        with pytest.raises(errors.InternalError):
            await bad


async def test_a_worker_without_memory_is_replaced(tmp_path: Path) -> None:
    """What has leaked in it would fail all who come later."""
    restarts: list[str] = []
    async with pool(scratch=tmp_path, restarts=restarts) as made:
        assert (await made.submit(b"starve-once x")).body == b"starve-once x"
        assert len(restarts) == 1


async def test_a_worker_that_stands_still_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_LOOK_SECONDS", 0.2)
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        with pytest.raises(errors.InternalError, match="not tried again"):
            await made.submit(b"stuck 3600")
        assert restarts == ["the worker process stood still"] * 2


async def test_a_worker_that_is_stopped_while_idle_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_LOOK_SECONDS", 0.2)
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        first = int((await made.submit(b"pid")).body)
        os.kill(first, signal.SIGSTOP)
        await until(lambda: restarts != [])
        assert int((await made.submit(b"pid")).body) != first


async def test_who_works_slowly_or_waits_for_work_does_not_stand_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "_LOOK_SECONDS", 0.2)
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        await made.submit(b"sleep 3")  # a look at its flag now and then, and nothing more
        await asyncio.sleep(3)  # longer than it would take to be missed
        assert restarts == []


async def test_where_there_is_no_room_for_a_descriptor_the_worker_lives() -> None:
    """Its answer is lost, and another replica may have room."""
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        with Blob.of(b"abc") as blob:
            first = (await made.submit(b"pid")).body
            with (
                _no_more_descriptors(),
                pytest.raises(errors.UnavailableError, match="file descriptors") as caught,
            ):
                await made.submit(b"hello", blob)
            assert caught.value.reason == "OUT_OF_RESOURCES"
            outcome = await made.submit(b"hello", blob)
            assert outcome.blob
            outcome.blob.close()
        assert (await made.submit(b"pid")).body == first
        assert restarts == []


@contextmanager
def _no_more_descriptors() -> Iterator[None]:
    """None is free below the limit; those that are open stay so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull, "rb") as lowest:  # noqa: PTH123 - a file of its own: its number is the lowest free
        limit = lowest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_worker_that_dies_idle_is_replaced_before_the_next_job() -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        first = int((await made.submit(b"pid")).body)
        os.kill(first, signal.SIGKILL)
        await until(lambda: restarts != [])
        assert int((await made.submit(b"pid")).body) != first


async def _devices(made: Pool) -> list[str]:
    """Of two workers, which are both idle and take one job each."""
    answers = await asyncio.gather(*(made.submit(b"device") for _ in range(2)))
    return sorted(answer.body.decode() for answer in answers)


def _ready(made: Pool) -> int:
    return sum(worker.loaded and worker.alive for worker in made._workers)


async def test_each_device_has_its_workers_also_after_a_death(tmp_path: Path) -> None:
    restarts: list[str] = []
    async with pool(scratch=tmp_path, restarts=restarts, workers=2, devices=("cpu:0", "cpu:1")) as made:
        assert await _devices(made) == ["cpu:0", "cpu:1"]
        await made.submit(b"die-once x")
        await until(lambda: bool(restarts) and _ready(made) == 2)
        assert await _devices(made) == ["cpu:0", "cpu:1"]


async def test_a_worker_dies_with_its_front_process(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from earshot.runtime.messages import TaskSpec\n"
        "from earshot.runtime.pool import *\n"
        "async def main():\n"
        f"    pool = Pool(TaskSpec('{TASKS}:Echo', {{}}), PoolOptions('test'), PoolEvents())\n"
        "    await pool.start()\n"
        "    print((await pool.submit(b'pid')).body.decode(), flush=True)\n"
        "    await pool.submit(b'stuck 60')\n"
        "asyncio.run(main())\n"
    )
    front = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert front.stdout is not None
    worker = psutil.Process(int(await front.stdout.readline()))
    front.kill()
    await front.wait()
    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


async def test_a_worker_that_is_killed_says_why() -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts, cancel_seconds=0.1) as made:
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"stuck 60", deadline=time.monotonic() + 0.1)
        await until(lambda: restarts != [])
    assert "nobody waits" in restarts[0]


async def test_where_no_thread_can_be_started_the_place_of_a_worker_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To wait for a process takes a thread; asyncio's error for that is none of the system's."""
    restarts: list[str] = []
    async with pool(restarts=restarts) as made:
        spawn, first = Worker.spawn, int((await made.submit(b"pid")).body)

        async def failing(threads: int, name: str) -> Worker:
            monkeypatch.setattr(Worker, "spawn", spawn)
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(Worker, "spawn", failing)
        os.kill(first, signal.SIGKILL)
        assert int((await made.submit(b"pid")).body) != first
        assert restarts[-1] == "can't start new thread"

"""Worker processes: what they do, and what happens when they do not."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from earshot import errors
from earshot.runtime import calls, workers
from earshot.runtime.batching import Pending
from earshot.runtime.blobs import Blob
from earshot.runtime.calls import Call
from earshot.runtime.messages import TaskSpec
from earshot.runtime.pool import Pool, PoolEvents, PoolOptions, _CancelWatch
from earshot.runtime.task import Result
from earshot.runtime.workers import Worker, WorkItem

TASKS = "tests.unit.runtime.tasks"


@asynccontextmanager
async def pool(
    task: str = "Echo", scratch: Path | None = None, restarts: list[str] | None = None, **options: Any
) -> AsyncIterator[Pool]:
    spec = TaskSpec(f"{TASKS}:{task}", {"scratch": str(scratch)} if scratch else {})
    events = PoolEvents(on_restart=(restarts if restarts is not None else []).append)
    made = Pool(spec, PoolOptions("test", **options), events)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def test_a_job_goes_over_and_its_result_comes_back() -> None:
    async with pool() as made:
        with Blob.of(b"abc" * 100_000) as blob:
            outcome = await made.submit(b"hello", blob)
        assert made.info == b"echo"
        assert outcome.body == b"hello"
        assert outcome.blob is not None
        with outcome.blob as answer:
            assert bytes(answer.view()) == b"cba" * 100_000
        assert outcome.work_seconds > 0
        assert outcome.queue_seconds >= 0


async def test_a_body_longer_than_a_datagram_goes_over() -> None:
    async with pool() as made:
        outcome = await made.submit(b"big 3000000")
        assert outcome.body == b"x" * 3_000_000
        long = b"y" * 2_000_000
        assert (await made.submit(long)).body == long


async def test_a_task_may_refuse_one_job_and_go_on() -> None:
    async with pool() as made:
        with pytest.raises(errors.InvalidArgumentError) as caught:
            await made.submit(b"refuse")
        assert (caught.value.reason, caught.value.field) == ("NO_GOOD", "config.model")
        assert (await made.submit(b"on")).body == b"on"


async def test_a_fault_tells_its_kind_and_no_content(capfd: pytest.CaptureFixture[str]) -> None:
    async with pool() as made:
        with pytest.raises(errors.InternalError, match="ValueError") as caught:
            await made.submit(b"crash")
        assert "canary" not in str(caught.value)
    assert "ValueError: canary" not in capfd.readouterr().err


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
        await _until(lambda: restarts != [])
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
        await _until(lambda: restarts != [])
        assert int((await made.submit(b"pid")).body) != first


async def test_no_worker_outlives_its_pool() -> None:
    async with pool(workers=2):
        workers = _workers()
        assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)


async def test_what_waits_is_taken_as_one_batch() -> None:
    async with pool("Batches", max_batch=4) as made:
        sizes = await asyncio.gather(*(made.submit(b"x") for _ in range(9)))
    assert [int(size.body) for size in sizes] == [4, 4, 4, 4, 4, 4, 4, 4, 1]


async def test_what_is_long_goes_alone_and_nothing_short_waits_for_it() -> None:
    async with pool("Batches", max_batch=4, batch_bytes=10) as made:
        bodies = (b"x", b"x", b"x" * 20, b"x", b"x" * 9, b"x")
        sizes = await asyncio.gather(*(made.submit(body) for body in bodies))
    assert [int(size.body) for size in sizes] == [2, 2, 1, 2, 2, 1]


async def test_fewer_than_a_batch_wait_for_more() -> None:
    async with pool("Batches", max_batch=2, batch_wait=3600.0) as made:
        first = asyncio.create_task(made.submit(b"x"))
        await _until(lambda: made.waiting == 1)
        sizes = await asyncio.gather(first, made.submit(b"x"))
    assert [int(size.body) for size in sizes] == [2, 2]


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
        await _until(lambda: bool(restarts) and _ready(made) == 2)
        assert await _devices(made) == ["cpu:0", "cpu:1"]


async def test_workers_share_the_queue() -> None:
    async with pool(workers=2) as made:
        pids = await asyncio.gather(*(made.submit(b"sleep 0.2") for _ in range(2)), _busy(made))
    assert pids[-1] == 2


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
        await _until((tmp_path / "cancelled").exists)
        assert (await made.submit(b"on")).body == b"on"


async def test_a_caller_that_leaves_ends_the_work_at_hand(tmp_path: Path) -> None:
    async with pool(scratch=tmp_path) as made:
        caller = asyncio.create_task(made.submit(b"sleep 60"))
        await _until(lambda: made.busy == 1)
        caller.cancel()
        await _until((tmp_path / "cancelled").exists)


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
        await _until(lambda: made.busy == 1)
        caller.cancel()
        assert (await made.submit(b"on")).body == b"on"
    assert not restarts


async def test_work_fails_as_unavailable_when_the_pool_stops() -> None:
    async with pool() as made:
        at_work = asyncio.create_task(made.submit(b"sleep 60"))
        waiting = asyncio.create_task(made.submit(b"later"))
        await _until(lambda: made.busy == 1)
    for task in (at_work, waiting):
        with pytest.raises(errors.UnavailableError):
            await task


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [
        ("broken", errors.FailedPreconditionError, "no weights"),
        ("dies", errors.FailedPreconditionError, "died while it loaded"),
        ("missing", errors.InternalError, "AttributeError"),
    ],
)
async def test_a_task_that_cannot_be_made_stops_the_start(
    task: str, kind: type[errors.EarshotError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        async with pool(task, workers=2):
            pass
    assert not _workers()


async def test_an_engine_process_has_no_grpc_and_one_thread() -> None:
    async with pool(threads=3) as made:
        modules = (await made.submit(b"modules")).body.decode().split()
        assert not [name for name in modules if name.partition(".")[0] in {"grpc", "google", "asyncio"}]
        assert (await made.submit(b"environment OMP_NUM_THREADS")).body == b"3"


async def test_how_the_front_process_keeps_memory_is_not_for_its_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "134217728")
    async with pool() as made:
        assert (await made.submit(b"environment MALLOC_TRIM_THRESHOLD_")).body == b""


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
    await _until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


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


async def test_a_worker_that_is_killed_says_why() -> None:
    restarts: list[str] = []
    async with pool(restarts=restarts, cancel_seconds=0.1) as made:
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"stuck 60", deadline=time.monotonic() + 0.1)
        await _until(lambda: restarts != [])
    assert "nobody waits" in restarts[0]


async def test_what_nobody_waits_for_is_done_in_its_turn(tmp_path: Path) -> None:
    async with pool(scratch=tmp_path) as made:
        for command in (b"refuse", b"crash", b"pid"):
            made.post(command)
        assert made.waiting == 3
        assert (await made.submit(b"on")).body == b"on"
        assert made.waiting == 0


async def test_it_is_idle_when_work_would_begin_at_once() -> None:
    async with pool(workers=2) as made:
        assert made.has_idle
        first = asyncio.create_task(made.submit(b"sleep 60"))
        await _until(lambda: made.busy == 1)
        assert made.has_idle
        second = asyncio.create_task(made.submit(b"sleep 60"))
        await asyncio.sleep(0)
        assert not made.has_idle
        await _until(lambda: made.busy == 2)
        assert not made.has_idle
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await _until(lambda: made.has_idle)


async def test_one_jobs_fault_is_not_that_of_its_batch(tmp_path: Path) -> None:
    async with pool(max_batch=8) as made:
        ahead = asyncio.create_task(made.submit(b"sleep 0.2"))
        await _until(lambda: made.busy == 1)
        jobs = [asyncio.create_task(made.submit(job)) for job in (b"one", b"crash", b"refuse", b"two")]
        one, crash, refuse, two = await asyncio.gather(*jobs, return_exceptions=True)
        await ahead
    assert isinstance(crash, errors.InternalError)
    assert isinstance(refuse, errors.InvalidArgumentError)
    assert [getattr(outcome, "body", outcome) for outcome in (one, two)] == [b"one", b"two"]


async def _submit_as(made: Pool, client: str, body: bytes, *, expendable: bool = False) -> str:
    calls.begin(Call(line=(client,)))
    return (await made.submit(body, expendable=expendable)).body.decode()


async def _order(made: Pool, jobs: list[tuple[str, bool]]) -> list[str]:
    """The clients in the order in which their jobs were done, all put while the worker was busy."""
    ahead = asyncio.create_task(made.submit(b"sleep 0.2"))
    await _until(lambda: made.busy == 1)
    done: list[str] = []
    tasks = []
    for client, expendable in jobs:
        task = asyncio.create_task(_submit_as(made, client, b"sleep 0.01", expendable=expendable))
        task.add_done_callback(lambda _, client=client: done.append(client))
        tasks.append(task)
    await asyncio.gather(ahead, *tasks)
    return done


async def test_clients_take_turns() -> None:
    async with pool() as made:
        order = await _order(made, [*[("flood", False)] * 20, ("light", False), ("light", False)])
    first, second = (at for at, client in enumerate(order) if client == "light")
    assert first <= 1
    assert second <= 4


async def test_what_is_expendable_waits_for_all_else() -> None:
    async with pool() as made:
        order = await _order(made, [("interim", True), ("interim", True), *[("final", False)] * 3])
    assert order == ["final"] * 3 + ["interim"] * 2


async def test_what_nobody_waits_for_any_more_is_not_in_the_queue() -> None:
    async with pool() as made:
        ahead = asyncio.create_task(made.submit(b"sleep 60"))
        await _until(lambda: made.busy == 1)
        gone = asyncio.create_task(made.submit(b"gone"))
        with pytest.raises(errors.DeadlineExceededError):
            await made.submit(b"late", deadline=time.monotonic() + 0.05)
        await _until(lambda: made.waiting == 1)
        gone.cancel()
        await _until(lambda: made.waiting == 0)
        ahead.cancel()


class _Busy:
    """A worker as a watch sees it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def cancel(self) -> None:
        self.told.append("cancel")

    def kill(self, why: str) -> None:
        self.told.append("kill")


async def test_a_caller_that_leaves_as_its_work_ends_kills_nobody_later() -> None:
    """Its future's callback is due already when the watch is closed, and comes all the same."""
    job = Pending(WorkItem(b"", None), None, asyncio.get_running_loop().create_future())
    worker = _Busy()
    watch = _CancelWatch(worker, [job], 0.01)  # type: ignore[arg-type]
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


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "earshot.runtime.worker" in child.cmdline()]


async def _busy(made: Pool) -> int:
    await _until(lambda: made.busy == 2)
    return made.busy


async def _until(condition: object) -> None:
    """Waits for what will happen; the test's own time limit bounds it."""
    assert callable(condition)
    while not condition():
        await asyncio.sleep(0.01)


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

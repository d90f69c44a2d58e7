"""A pool: what goes over to its workers and comes back, its start and its stop."""

from __future__ import annotations

import asyncio

import pytest

from earshot import errors
from earshot.runtime.blobs import Blob
from tests.unit.runtime.pools import pool, processes, until


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


async def test_no_worker_outlives_its_pool() -> None:
    async with pool(workers=2):
        workers = processes()
        assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)


async def test_work_fails_as_unavailable_when_the_pool_stops() -> None:
    async with pool() as made:
        at_work = asyncio.create_task(made.submit(b"sleep 60"))
        waiting = asyncio.create_task(made.submit(b"later"))
        await until(lambda: made.busy == 1)
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
    assert not processes()


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


async def test_it_is_idle_when_work_would_begin_at_once() -> None:
    async with pool(workers=2) as made:
        assert made.has_idle
        first = asyncio.create_task(made.submit(b"sleep 60"))
        await until(lambda: made.busy == 1)
        assert made.has_idle
        second = asyncio.create_task(made.submit(b"sleep 60"))
        await asyncio.sleep(0)
        assert not made.has_idle
        await until(lambda: made.busy == 2)
        assert not made.has_idle
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await until(lambda: made.has_idle)

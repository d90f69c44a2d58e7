"""Whose work is next, and with what else."""

from __future__ import annotations

import asyncio
from pathlib import Path

from earshot import errors
from earshot.runtime import calls
from earshot.runtime.calls import Call
from earshot.runtime.pool import Pool
from tests.unit.runtime.pools import pool, until


async def test_what_waits_is_taken_as_one_batch() -> None:
    async with pool("Batches", max_batch=4) as made:
        sizes = await asyncio.gather(*(made.submit(b"x") for _ in range(9)))
    assert [int(size.body) for size in sizes] == [4, 4, 4, 4, 4, 4, 4, 4, 1]


async def test_what_is_long_goes_alone_and_nothing_short_waits_for_it() -> None:
    async with pool("Batches", max_batch=4, batch_bytes=10) as made:
        bodies = (b"x", b"x", b"x" * 20, b"x", b"x" * 9, b"x")
        sizes = await asyncio.gather(*(made.submit(body) for body in bodies))
    assert [int(size.body) for size in sizes] == [2, 2, 1, 2, 2, 1]


async def test_what_goes_alone_is_in_no_batch() -> None:
    async with pool("Batches", max_batch=4) as made:
        ahead = asyncio.create_task(made.submit(b"x"))
        await until(lambda: made.busy == 1)
        alone = (False, True, False, False)
        sizes = await asyncio.gather(ahead, *(made.submit(b"x", alone=one) for one in alone))
    assert [int(size.body) for size in sizes] == [1, 1, 1, 2, 2]


async def test_fewer_than_a_batch_wait_for_more() -> None:
    async with pool("Batches", max_batch=2, batch_wait=3600.0) as made:
        first = asyncio.create_task(made.submit(b"x"))
        await until(lambda: made.waiting == 1)
        sizes = await asyncio.gather(first, made.submit(b"x"))
    assert [int(size.body) for size in sizes] == [2, 2]


async def test_workers_share_the_queue() -> None:
    async with pool(workers=2) as made:
        pids = await asyncio.gather(*(made.submit(b"sleep 0.2") for _ in range(2)), _busy(made))
    assert pids[-1] == 2


async def test_one_jobs_fault_is_not_that_of_its_batch(tmp_path: Path) -> None:
    async with pool(max_batch=8) as made:
        ahead = asyncio.create_task(made.submit(b"sleep 0.2"))
        await until(lambda: made.busy == 1)
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
    await until(lambda: made.busy == 1)
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


async def _busy(made: Pool) -> int:
    await until(lambda: made.busy == 2)
    return made.busy

"""When a batch is taken: at once, or after a while that has a bound."""

from __future__ import annotations

import asyncio

from earshot.runtime.batching import Pending, WorkQueue
from earshot.runtime.workers import WorkItem

FOREVER = 3600.0  # seconds; no test waits for it
BRIEFLY = 0.01


def put(queue: WorkQueue, name: str = "x") -> Pending:
    job = Pending(WorkItem(name.encode(), None), None, asyncio.get_running_loop().create_future())
    queue.put(job)
    return job


def taking(queue: WorkQueue, most: int, patience: float) -> asyncio.Task[list[Pending]]:
    return asyncio.create_task(queue.take(most, lambda: True, patience))


async def turns() -> None:
    """Others have had many."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_without_patience_one_is_enough() -> None:
    queue = WorkQueue()
    taken = taking(queue, 4, 0.0)
    await turns()
    job = put(queue)
    assert await taken == [job]


async def test_fewer_wait_and_a_full_batch_does_not() -> None:
    queue = WorkQueue()
    taken = taking(queue, 3, FOREVER)
    jobs = [put(queue), put(queue)]
    await turns()
    assert not taken.done()
    assert len(queue) == 2
    jobs.append(put(queue))
    assert await taken == jobs


async def test_the_wait_has_an_end() -> None:
    queue = WorkQueue()
    taken = taking(queue, 3, BRIEFLY)
    jobs = [put(queue), put(queue)]
    assert await taken == jobs


async def test_who_has_waited_already_waits_no_longer() -> None:
    queue = WorkQueue()
    job = put(queue)
    job.queued_at -= FOREVER
    queue.drop(job)
    queue.put(job)
    assert await queue.take(3, lambda: True, FOREVER) == [job]


async def test_what_a_dead_worker_gave_back_waits_no_longer() -> None:
    queue = WorkQueue()
    job = put(queue)
    (taken,) = await queue.take(1, lambda: True)
    job.queued_at -= FOREVER
    queue.put_back([taken])
    assert await queue.take(3, lambda: True, FOREVER) == [job]


async def test_two_workers_take_a_batch_once() -> None:
    queue = WorkQueue()
    workers = [taking(queue, 4, BRIEFLY) for _ in range(2)]
    await turns()
    jobs = [put(queue), put(queue)]
    (first,), (second,) = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    assert await first == jobs
    job = put(queue)
    assert await second == [job]


async def test_who_leaves_while_the_batch_fills_is_not_in_it() -> None:
    queue = WorkQueue()
    taken = taking(queue, 2, FOREVER)
    gone = put(queue)
    await turns()
    queue.drop(gone)
    await turns()
    jobs = [put(queue), put(queue)]
    assert await taken == jobs


async def test_nothing_is_taken_for_who_does_not_want_it_any_more() -> None:
    queue = WorkQueue()
    wanted = [True]
    taken = asyncio.create_task(queue.take(2, lambda: wanted[0], FOREVER))
    put(queue)
    await turns()
    wanted.clear()
    wanted.append(False)
    queue.wake()
    assert await taken == []
    assert len(queue) == 1

"""One queue for a model, and the workers that empty it.

A worker takes what waits, up to its batch, as soon as it is idle: it never waits for a batch to
fill. Work whose caller has gone or whose time has passed is dropped before it starts. Work that a
dying worker loses is tried once more.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from earshot import errors
from earshot.runtime.blobs import Blob
from earshot.runtime.task import Result
from earshot.runtime.workers import WorkItem

_MAX_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job's result, and where its time went, in seconds. The receiver owns the blob."""

    body: bytes
    blob: Blob | None
    queue_seconds: float  # all but the work: for a worker, for others in its batch, there and back
    work_seconds: float


@dataclass(slots=True, eq=False)
class Pending:
    """A job that waits or is worked on."""

    item: WorkItem
    deadline: float | None  # by time.monotonic
    future: asyncio.Future[Outcome]
    expendable: bool = False  # a worker that goes on with it after its caller has gone is left to
    queued_at: float = field(default_factory=time.monotonic)
    attempts: int = 0

    def start(self) -> None:
        """A worker has taken it."""
        self.attempts += 1

    def succeed(self, result: Result) -> None:
        """Its caller gets ``result``; where the caller has gone, the blob is given back."""
        if self.future.done():
            if result.blob:
                result.blob.close()
            return
        waited = max(0.0, time.monotonic() - self.queued_at - result.seconds)
        self.future.set_result(Outcome(result.body, result.blob, waited, result.seconds))

    def fail(self, error: errors.EarshotError) -> None:
        """Its caller gets ``error``."""
        if not self.future.done():
            self.future.set_exception(error)

    @property
    def may_retry(self) -> bool:
        """Whether another worker may try it."""
        return self.attempts < _MAX_ATTEMPTS and not self.future.done()


class WorkQueue:
    """Jobs in the order of their arrival. How many may wait is the admission's worry."""

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Pending) -> None:
        """At the end."""
        self._waiting.append(job)
        self._arrived.set()

    def put_back(self, jobs: list[Pending]) -> None:
        """At the front: they have waited longest."""
        self._waiting.extendleft(reversed(jobs))
        self._arrived.set()

    def wake(self) -> None:
        """Makes all who wait in :meth:`take` look whether they still want to."""
        self._arrived.set()

    async def take(self, most: int, wanted: Callable[[], bool]) -> list[Pending]:
        """What waits, at least one job and at most ``most``; nothing once it is not ``wanted``."""
        while wanted():
            batch = self._take_live(most)
            if batch:
                return batch
            self._arrived.clear()
            await self._arrived.wait()
        return []

    def _take_live(self, most: int) -> list[Pending]:
        batch: list[Pending] = []
        while self._waiting and len(batch) < most:
            job = self._waiting.popleft()
            if _is_live(job):
                batch.append(job)
        return batch

    def fail_all(self, error: errors.EarshotError) -> None:
        """Nobody will work on what waits."""
        while self._waiting:
            self._waiting.popleft().fail(error)


def _is_live(job: Pending) -> bool:
    if job.future.done():
        return False
    if job.deadline is not None and time.monotonic() >= job.deadline:
        job.fail(
            errors.DeadlineExceededError("the deadline passed while the request waited for a free worker")
        )
        return False
    return True

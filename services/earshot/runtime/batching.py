"""One queue for a model, and the workers that empty it.

A worker takes what waits, up to its batch, as soon as it is idle: it does not wait for a batch to fill, or
no longer than it is told to. Clients take turns by the work that they have had; within a client who has
waited longest is next. What is expendable is taken when nothing else waits. Work whose caller has gone or
whose time has passed is dropped before it starts. Work that a dying worker loses is tried once more, by
itself: what killed the worker is then known, and nothing else dies with it. What is expendable, and what only
the worker that died could do, is not tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from earshot import errors
from earshot.runtime.blobs import Blob
from earshot.runtime.fairness import FairLines
from earshot.runtime.labels import NOBODY, Line
from earshot.runtime.task import Result
from earshot.runtime.workers import WorkItem

MAX_TRIES = 2
_MAX_KILLED = 3  # where others killed the workers: that says less of the work
_SMOOTHING = 0.2  # share of the newest job's time in the running mean


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
    expendable: bool = False  # waits for all else; a worker that goes on with it in vain is left to
    line: Line = NOBODY
    alone: bool = False  # goes to a worker by itself: what it does to it is then known
    tries: int = MAX_TRIES  # after as many workers have died of it, it is given up
    charged: float = 0.0  # seconds, to its line, before it is known what it takes
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
    def goes_alone(self) -> bool:
        """Whether nothing else may be in its batch."""
        return self.alone or self.attempts > 0

    def may_retry(self, *, killed: bool) -> bool:
        """Whether another worker may try it. ``killed``: it was not the work that ended the last one."""
        return self.attempts < (_MAX_KILLED if killed else self.tries) and not self.future.done()


class WorkQueue:
    """Jobs in their clients' lines. How many may wait is the admission's worry."""

    def __init__(self, batch_bytes: int = sys.maxsize) -> None:
        """``batch_bytes``: of the bodies that go to a worker together. What is longer goes alone, so that
        what is short does not wait for it.
        """
        self._batch_bytes = batch_bytes
        self._waiting: FairLines[Pending] = FairLines()
        self._expendable: FairLines[Pending] = FairLines()
        self._arrived = asyncio.Event()
        self._since = 0.0  # when the first of those that wait came, or earlier; by time.monotonic
        self.mean_seconds = 0.0  # that a job takes; 0: none has been done

    def __len__(self) -> int:
        return len(self._waiting) + len(self._expendable)

    def put(self, job: Pending) -> None:
        """At the end of its line."""
        self._since = self._since if len(self) else job.queued_at
        self._lines(job).put(job, job.line)
        self._arrived.set()

    def put_back(self, jobs: list[Pending]) -> None:
        """At the front of their lines: they have waited longest."""
        self._since = min([job.queued_at for job in jobs], default=self._since)
        for job in reversed(jobs):
            self._lines(job).charge(job.line, -job.charged)
            self._lines(job).put(job, job.line, first=True)
        self._arrived.set()

    def drop(self, job: Pending) -> None:
        """Its caller has gone; nothing happens where it has been taken."""
        self._lines(job).drop(job, job.line)

    def settle(self, job: Pending, seconds: float) -> None:
        """A worker is done with ``job`` after so much work."""
        self._lines(job).charge(job.line, seconds - job.charged)
        self.mean_seconds += _SMOOTHING * (seconds - self.mean_seconds)
        job.charged = 0.0

    def wake(self) -> None:
        """Makes all who wait in :meth:`take` look whether they still want to."""
        self._arrived.set()

    async def take(self, most: int, wanted: Callable[[], bool], patience: float = 0.0) -> list[Pending]:
        """What waits, at least one job and at most ``most``; nothing once it is not ``wanted``.

        Fewer than ``most`` are left to wait for others for up to ``patience`` seconds.
        """
        while wanted():
            left = self._time_to_wait(most, patience)
            if left <= 0 and (batch := self.take_now(most)):
                return batch
            self._arrived.clear()
            await self._arrival(left)
        return []

    def _time_to_wait(self, most: int, patience: float) -> float:
        if not len(self):
            return math.inf
        return self._since + patience - time.monotonic() if patience and len(self) < most else 0.0

    async def _arrival(self, most_seconds: float) -> None:
        if math.isinf(most_seconds):
            await self._arrived.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_seconds):
                await self._arrived.wait()

    def take_now(self, most: int) -> list[Pending]:
        """What waits, at most ``most`` jobs; perhaps nothing."""
        batch: list[Pending] = []
        size = 0
        while len(batch) < most and (job := self._waiting.take() or self._expendable.take()):
            if not _is_live(job):
                continue
            size += len(job.item.body)
            if batch and (job.goes_alone or size > self._batch_bytes):
                self._lines(job).put(job, job.line, first=True)
                break
            job.charged = self.mean_seconds
            self._lines(job).charge(job.line, job.charged)
            batch.append(job)
            if job.goes_alone:
                break
        return batch

    def fail_all(self, error: errors.EarshotError) -> None:
        """Nobody will work on what waits."""
        while job := self._waiting.take() or self._expendable.take():
            job.fail(error)

    def _lines(self, job: Pending) -> FairLines[Pending]:
        return self._expendable if job.expendable else self._waiting


def _is_live(job: Pending) -> bool:
    if job.future.done():
        return False
    if job.deadline is not None and time.monotonic() >= job.deadline:
        job.fail(
            errors.DeadlineExceededError("the deadline passed while the request waited for a free worker")
        )
        return False
    return True

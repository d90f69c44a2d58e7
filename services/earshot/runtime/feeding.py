"""One worker, fed from the queue until it dies.

While it works on something short it is sent what is next already, so that it does not stand idle for as
long as the front process takes to hear of the one and send the other: for a text of 5 ms that is a good part
of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from earshot import errors
from earshot.runtime.batching import Outcome, Pending, WorkQueue
from earshot.runtime.busy import BusyTime
from earshot.runtime.pool_options import PoolOptions
from earshot.runtime.shortage import shortage
from earshot.runtime.task import Fault, Result
from earshot.runtime.workers import Exchange, Worker, WorkerDiedError

WORKER_DIED: Final = "WORKER_DIED"  # the reason of who is told so
_LOST = (
    "the process that worked on this request died, and so did the next: it is not tried again; what is in it "
    "may be at fault, and the log of the replica says more"
)
_ABANDONED = "the engine went on with work that nobody waits for any more"
STOPPED = "this replica is stopping; try again"
# What is sent ahead waits for what it is behind, though another worker may be idle before.
_SHORT_SECONDS = 0.02  # of a job, in the mean
_SHORT_BYTES = 1024  # of the job that it is behind: some texts


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch that a worker has."""

    jobs: list[Pending]
    exchange: Exchange


class Feeder:
    """Takes what is next, hands it over, gives the outcomes to who waits for them."""

    def __init__(self, worker: Worker, queue: WorkQueue, busy: BusyTime, options: PoolOptions) -> None:
        self._worker, self._queue, self._busy, self._options = worker, queue, busy, options
        self._is_at_short = False
        self._ahead: _Sent | None = None

    async def feed(self) -> None:
        """Until the worker dies: raises :class:`WorkerDiedError`."""
        try:
            while await self._feed_once():
                pass
        finally:
            self._take_back()
        raise WorkerDiedError("the worker process died while it was idle")

    def hand_ahead(self) -> None:
        """Sends the worker what is next, where it is at something short and no other is idle."""
        if self._ahead or not self._is_at_short or self._busy.count < self._options.workers:
            return
        most, queue = self._options.max_batch, self._queue
        if len(queue) >= most and 0 < queue.mean_seconds <= _SHORT_SECONDS:
            with suppress(WorkerDiedError):  # who waits for what it is at hears of it
                self._ahead = self._send(queue.take_now(most))

    async def _feed_once(self) -> bool:
        """One batch; False when the worker has died. Nothing of the batch is kept while it waits again."""
        options = self._options
        sent = self._ahead or self._send(
            await self._queue.take(options.max_batch, lambda: self._worker.alive, options.batch_wait)
        )
        self._ahead = None
        if sent:
            await self._finish(sent)
        return sent is not None or self._worker.alive

    def _send(self, jobs: list[Pending]) -> _Sent | None:
        """None where there was nothing, or the machine has run out of what it takes.

        Raises :class:`WorkerDiedError`; the jobs, not begun, are for another.
        """
        if not jobs:
            return None
        try:
            return _Sent(jobs, self._worker.send([job.item for job in jobs]))
        except WorkerDiedError:
            self._queue.put_back(jobs)
            raise
        except OSError as exc:
            _fail(jobs, _unreached(exc))
        return None

    async def _finish(self, sent: _Sent) -> None:
        jobs = sent.jobs
        try:
            outcomes = await self._run(sent)
        except OSError as exc:  # the worker lives
            _fail(jobs, _unreached(exc))
            return
        except asyncio.CancelledError:
            _fail(jobs, errors.UnavailableError(STOPPED))
            raise
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._queue.settle(job, outcome.seconds)
            _settle(job, outcome)

    async def _run(self, sent: _Sent) -> list[Result | Fault]:
        watch = _CancelWatch(self._worker, sent, self._options.cancel_seconds)
        try:
            with self._busy.at_work():
                self._is_at_short = sum(len(job.item.body) for job in sent.jobs) <= _SHORT_BYTES
                self.hand_ahead()
                return await self._worker.outcomes(sent.exchange)
        except WorkerDiedError:
            self._take_back()  # first, so that it is behind what has waited longer
            self._retry_or_fail(sent.jobs, killed=await self._worker.was_killed())
            raise
        finally:
            self._is_at_short = False
            watch.close()

    def _take_back(self) -> None:
        """What the worker has not begun."""
        if self._ahead:
            self._queue.put_back(self._ahead.jobs)
            self._ahead = None

    def _retry_or_fail(self, jobs: list[Pending], *, killed: bool) -> None:
        again = [job for job in jobs if job.may_retry(killed=killed)]
        lost = errors.InternalError(_LOST, reason=WORKER_DIED)
        _fail([job for job in jobs if job not in again], lost)
        self._queue.put_back(again)


class _CancelWatch:
    """Tells a worker when nobody waits for its batch any more; kills it if it does not listen."""

    def __init__(self, worker: Worker, sent: _Sent, patience: float) -> None:
        self._worker, self._sent, self._patience = worker, sent, patience
        self._kill: asyncio.TimerHandle | None = None
        self._closed = False
        for job in sent.jobs:
            job.start()
            job.future.add_done_callback(self._on_done)

    def _on_done(self, _: asyncio.Future[Outcome]) -> None:
        # A callback that was due when the watch was closed still comes, and the worker has other work now.
        if not self._closed and self._kill is None and all(job.future.done() for job in self._sent.jobs):
            self._worker.cancel(self._sent.exchange)
            if all(job.expendable for job in self._sent.jobs):
                return
            loop = asyncio.get_running_loop()
            self._kill = loop.call_later(self._patience, self._worker.kill, _ABANDONED)

    def close(self) -> None:
        self._closed = True
        for job in self._sent.jobs:
            job.future.remove_done_callback(self._on_done)
        if self._kill:
            self._kill.cancel()


def _unreached(exc: OSError) -> errors.EarshotError:
    return shortage(exc) or errors.UnavailableError(f"the worker cannot be reached: {exc.strerror}")


def _settle(job: Pending, outcome: Result | Fault) -> None:
    if isinstance(outcome, Fault):
        job.fail(outcome.error)
    else:
        job.succeed(outcome)


def _fail(jobs: list[Pending], error: errors.EarshotError) -> None:
    for job in jobs:
        job.fail(error)

"""A pool of worker processes for one task: kept alive, fed from one queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earshot import errors
from earshot.runtime import calls
from earshot.runtime.batching import Outcome, Pending, WorkQueue
from earshot.runtime.blobs import Blob
from earshot.runtime.busy import BusyTime
from earshot.runtime.feeding import STOPPED, Feeder
from earshot.runtime.messages import MAX_BATCH, TaskSpec
from earshot.runtime.pool_options import PoolOptions
from earshot.runtime.shortage import shortage_at_start
from earshot.runtime.workers import Worker, WorkerDiedError, WorkItem


@dataclass(frozen=True, slots=True)
class PoolEvents:
    """Who is told what happens; each is called on the event loop."""

    on_ready: Callable[[int], None] = lambda _: None  # workers ready now
    on_restart: Callable[[str], None] = lambda _: None  # the cause, for people


class Pool:
    """Start it, submit to it, stop it. Clients of the calls that submit share it fairly."""

    def __init__(self, spec: TaskSpec, options: PoolOptions, events: PoolEvents) -> None:
        if not 1 <= options.max_batch <= MAX_BATCH:
            raise errors.InvalidArgumentError(f"max_batch must be 1 to {MAX_BATCH}, not {options.max_batch}")
        self.options = options
        self.info = b""  # what the task says of itself
        self._spec, self._events = spec, events
        self._queue = WorkQueue(options.batch_bytes)
        self._slots: list[asyncio.Task[None]] = []
        self._workers: set[Worker] = set()  # all processes not yet seen to end
        self._lack: errors.UnavailableError | None = None  # why there is no worker, and can be none
        self._busy = BusyTime()
        self._feeders: list[Feeder] = []

    async def start(self) -> None:
        """Starts all workers and waits for them. Raises what keeps one from loading its task."""
        specs = [self._spec_of(place) for place in range(self.options.workers)]
        starting = [asyncio.ensure_future(self._start_worker(spec)) for spec in specs]
        try:
            workers = await asyncio.gather(*starting)
        except WorkerDiedError as exc:
            await self._abandon(starting)
            raise errors.FailedPreconditionError(
                f"a worker of {self.options.name} died while it loaded"
            ) from exc
        except BaseException:
            await self._abandon(starting)
            raise
        self.info = workers[0].info
        self._slots = [
            asyncio.create_task(self._keep(worker, spec)) for worker, spec in zip(workers, specs, strict=True)
        ]

    def _spec_of(self, place: int) -> TaskSpec:
        """What the worker in that place does; whoever replaces it does it on the same device."""
        devices = self.options.devices
        if not devices:
            return self._spec
        return TaskSpec(self._spec.factory, self._spec.options | {"device": devices[place % len(devices)]})

    async def _abandon(self, starting: Sequence[asyncio.Future[Worker]]) -> None:
        for future in starting:
            future.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        await self.stop()

    async def _start_worker(self, spec: TaskSpec) -> Worker:
        worker = await Worker.spawn(self.options.threads, self.options.name)
        worker.on_death = self._queue.wake
        self._workers.add(worker)
        try:
            await worker.load(spec)
        except BaseException:
            await self._discard(worker)
            raise
        self._lack = None
        self._tell_ready()
        return worker

    async def _discard(self, worker: Worker) -> None:
        """Ends ``worker``; where this is cut short, :meth:`stop` does it again."""
        worker.kill()
        await worker.stop()
        self._workers.discard(worker)
        self._tell_ready()

    def _tell_ready(self) -> None:
        self._events.on_ready(sum(worker.loaded for worker in self._workers))

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return len(self._queue)

    @property
    def busy(self) -> int:
        """Workers at work."""
        return self._busy.count

    @property
    def busy_seconds(self) -> float:
        """How long workers have been at work, together; never falls."""
        return self._busy.seconds

    async def submit(
        self,
        body: bytes,
        blob: Blob | None = None,
        deadline: float | None = None,
        *,
        expendable: bool = False,
        alone: bool = False,
    ) -> Outcome:
        """Waits for a worker and for its result. ``deadline`` is by ``time.monotonic``.

        Raises the task's error, ``DeadlineExceededError``, ``InternalError`` when workers died on it (those
        of another replica would as well), and ``UnavailableError`` when the pool stops or the machine has run
        out of something. A cancelled caller's work is dropped, or told to stop where it has begun; a worker
        that goes on with it is replaced. What is ``expendable`` begins when nothing else waits, and is
        cancelled as a matter of course: nothing is replaced for it, and nothing tried again. What goes
        ``alone`` is in no batch with others.
        """
        job = self._job(WorkItem(body, blob), deadline)
        job.expendable, job.alone = expendable, alone
        job.tries = 1 if expendable else job.tries
        self._put(job)
        future = job.future
        try:
            async with asyncio.timeout_at(deadline):
                return await future
        except TimeoutError:
            self._queue.drop(job)
            _give_back(future)
            raise errors.DeadlineExceededError("the deadline passed before the work was done") from None
        except asyncio.CancelledError:
            self._queue.drop(job)
            _give_back(future)
            raise
        finally:
            # The future holds its error, the error this frame, and the frame's callers the request: a
            # cycle that would keep megabytes until the garbage collector happens to look.
            del future, job

    def post(self, body: bytes) -> None:
        """As :meth:`submit`, for who does not care what comes of it."""
        job = self._job(WorkItem(body, None), None)
        self._put(job)
        job.future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _job(self, item: WorkItem, deadline: float | None) -> Pending:
        """Of who called us."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        return Pending(item, deadline, future, line=calls.current().line, tries=self.options.tries)

    def _put(self, job: Pending) -> None:
        """In its caller's line; where nobody will come to work on it, it is refused instead."""
        if self._lack:
            job.fail(self._lack.with_traceback(None))
            return
        self._queue.put(job)
        for feeder in self._feeders:
            feeder.hand_ahead()

    @property
    def has_idle(self) -> bool:
        """Whether work that came now would begin at once."""
        return not self.waiting and self.busy < self.options.workers

    async def stop(self) -> None:
        """Ends all workers. Work that is still there fails with ``UnavailableError``."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        await asyncio.gather(*(self._discard(worker) for worker in tuple(self._workers)))
        self._queue.fail_all(errors.UnavailableError(STOPPED))

    async def _keep(self, worker: Worker, spec: TaskSpec) -> None:
        """One place in the pool: feeds its worker, and replaces it when it dies."""
        while True:
            feeder = Feeder(worker, self._queue, self._busy, self.options)
            self._feeders.append(feeder)
            try:
                await feeder.feed()
            except WorkerDiedError as exc:
                self._events.on_restart(str(exc))
            finally:
                self._feeders.remove(feeder)
            await self._discard(worker)
            worker = await self._replacement(spec)

    async def _replacement(self, spec: TaskSpec) -> Worker:
        wait = self.options.restart_initial_seconds
        while True:
            try:
                return await self._start_worker(spec)
            except Exception as exc:  # whatever it is, this place must not be lost
                self._events.on_restart(str(exc))
                if wait > self.options.restart_initial_seconds:  # what is lacking for a moment is waited out
                    self._turn_away(shortage_at_start(exc))
            await asyncio.sleep(wait)
            wait = min(2 * wait, self.options.restart_maximum_seconds)

    def _turn_away(self, lack: errors.UnavailableError | None) -> None:
        """Where no worker is left and none can be started, who waits is better off at another replica."""
        if lack and not any(worker.alive and worker.loaded for worker in self._workers):
            self._lack = lack
            self._queue.fail_all(lack)


def _give_back(future: asyncio.Future[Outcome]) -> None:
    """Closes what came for a caller in the very step in which it left."""
    if future.done() and not future.cancelled() and not future.exception():
        outcome = future.result()
        if outcome.blob:
            outcome.blob.close()

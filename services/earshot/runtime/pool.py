"""A pool of worker processes for one task: kept alive, fed from one queue."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earshot import errors
from earshot.runtime import calls
from earshot.runtime.batching import Outcome, Pending, WorkQueue
from earshot.runtime.blobs import Blob
from earshot.runtime.busy import BusyTime
from earshot.runtime.messages import MAX_BATCH, TaskSpec
from earshot.runtime.settings import ServiceSettings
from earshot.runtime.shortage import shortage
from earshot.runtime.task import Fault, Result
from earshot.runtime.workers import Worker, WorkerDiedError, WorkItem

_LOST = (
    "the process that worked on this request died, and so did the next: it is not tried again; what is in it "
    "may be at fault, and the log of the replica says more"
)
_ABANDONED = "the engine went on with work that nobody waits for any more"
_BATCH_BYTES = 8 * 1024  # texts of a few hundredths of a second; audio is not counted
_STOPPED = "this replica is stopping; try again"


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How a pool is built."""

    name: str  # for logs and metrics
    workers: int = 1  # processes
    threads: int = 1  # of each process
    max_batch: int = 1  # jobs that a worker takes at once
    batch_wait: float = 0.0  # seconds that fewer wait for more
    batch_bytes: int = sys.maxsize  # of the bodies of a batch; a longer one goes alone
    devices: tuple[str, ...] = ()  # the task's option "device", of the workers in turn; none: as it has it
    cancel_seconds: float = 10.0  # a worker that goes on with cancelled work for longer is replaced
    restart_initial_seconds: float = 0.1  # wait before a dead worker is started again,
    restart_maximum_seconds: float = 10.0  # doubled each time that it dies before it is ready

    @classmethod
    def of(cls, name: str, settings: ServiceSettings) -> PoolOptions:
        """A pool of engines, as the settings have it."""
        return cls(
            name,
            workers=settings.processes,
            threads=settings.threads,
            max_batch=settings.max_batch,
            batch_wait=settings.batch_wait_seconds,
            batch_bytes=_BATCH_BYTES,
            devices=settings.devices,
        )


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
        self._busy = BusyTime()

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
    ) -> Outcome:
        """Waits for a worker and for its result. ``deadline`` is by ``time.monotonic``.

        Raises the task's error, ``DeadlineExceededError``, ``InternalError`` when workers died on it (those
        of another replica would as well), and ``UnavailableError`` when the pool stops or the machine has run
        out of something. A cancelled caller's work is dropped, or told to stop where it has begun; a worker
        that goes on with it is replaced. What is ``expendable`` begins when nothing else waits, and is
        cancelled as a matter of course: nothing is replaced for it.
        """
        job = self._put(WorkItem(body, blob), deadline, expendable=expendable)
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
        job = self._put(WorkItem(body, None), None)
        job.future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _put(self, item: WorkItem, deadline: float | None, *, expendable: bool = False) -> Pending:
        """In the line of who called us."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        job = Pending(item, deadline, future, expendable, calls.current().line)
        self._queue.put(job)
        return job

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
        self._queue.fail_all(errors.UnavailableError(_STOPPED))

    async def _keep(self, worker: Worker, spec: TaskSpec) -> None:
        """One place in the pool: feeds its worker, and replaces it when it dies."""
        while True:
            try:
                await self._feed(worker)
            except WorkerDiedError as exc:
                self._events.on_restart(str(exc))
            await self._discard(worker)
            worker = await self._replacement(spec)

    async def _feed(self, worker: Worker) -> None:
        while await self._feed_once(worker):
            pass
        raise WorkerDiedError("the worker process died while it was idle")

    async def _feed_once(self, worker: Worker) -> bool:
        """One batch; False when the worker has died. Nothing of the batch is kept while it waits again."""
        options = self.options
        jobs = await self._queue.take(options.max_batch, lambda: worker.alive, options.batch_wait)
        if not jobs:
            return False
        try:
            outcomes = await self._run(worker, jobs)
        except OSError as exc:  # the worker lives
            unreached = errors.UnavailableError(f"the worker cannot be reached: {exc.strerror}")
            _fail(jobs, shortage(exc) or unreached)
            return True
        except asyncio.CancelledError:
            _fail(jobs, errors.UnavailableError(_STOPPED))
            raise
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._queue.settle(job, outcome.seconds)
            _settle(job, outcome)
        return True

    async def _run(self, worker: Worker, jobs: list[Pending]) -> list[Result | Fault]:
        watch = _CancelWatch(worker, jobs, self.options.cancel_seconds)
        try:
            with self._busy.at_work():
                return await worker.run([job.item for job in jobs])
        except WorkerDiedError:
            self._retry_or_fail(jobs, killed=await worker.was_killed())
            raise
        finally:
            watch.close()

    def _retry_or_fail(self, jobs: list[Pending], *, killed: bool) -> None:
        again = [job for job in jobs if job.may_retry(killed=killed)]
        lost = errors.InternalError(_LOST, reason="WORKER_DIED")
        _fail([job for job in jobs if job not in again], lost)
        self._queue.put_back(again)

    async def _replacement(self, spec: TaskSpec) -> Worker:
        wait = self.options.restart_initial_seconds
        while True:
            try:
                return await self._start_worker(spec)
            except Exception as exc:  # whatever it is, this place must not be lost
                self._events.on_restart(str(exc))
            await asyncio.sleep(wait)
            wait = min(2 * wait, self.options.restart_maximum_seconds)


class _CancelWatch:
    """Tells a worker when nobody waits for its batch any more; kills it if it does not listen."""

    def __init__(self, worker: Worker, jobs: list[Pending], patience: float) -> None:
        self._worker, self._jobs, self._patience = worker, jobs, patience
        self._kill: asyncio.TimerHandle | None = None
        self._closed = False
        for job in jobs:
            job.start()
            job.future.add_done_callback(self._on_done)

    def _on_done(self, _: asyncio.Future[Outcome]) -> None:
        # A callback that was due when the watch was closed still comes, and the worker has other work now.
        if not self._closed and self._kill is None and all(job.future.done() for job in self._jobs):
            self._worker.cancel()
            if all(job.expendable for job in self._jobs):
                return
            loop = asyncio.get_running_loop()
            self._kill = loop.call_later(self._patience, self._worker.kill, _ABANDONED)

    def close(self) -> None:
        self._closed = True
        for job in self._jobs:
            job.future.remove_done_callback(self._on_done)
        if self._kill:
            self._kill.cancel()


def _give_back(future: asyncio.Future[Outcome]) -> None:
    """Closes what came for a caller in the very step in which it left."""
    if future.done() and not future.cancelled() and not future.exception():
        outcome = future.result()
        if outcome.blob:
            outcome.blob.close()


def _settle(job: Pending, outcome: Result | Fault) -> None:
    if isinstance(outcome, Fault):
        job.fail(outcome.error)
    else:
        job.succeed(outcome)


def _fail(jobs: list[Pending], error: errors.EarshotError) -> None:
    for job in jobs:
        job.fail(error)

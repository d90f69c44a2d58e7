"""A worker process as its front process sees it: started, given batches, cancelled, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from earshot.runtime import messages
from earshot.runtime.blobs import Blob
from earshot.runtime.flags import CancelFlag
from earshot.runtime.pulse import Pulse
from earshot.runtime.shortage import shortage
from earshot.runtime.task import Fault, Result, from_parts

_STOP_SECONDS = 5.0  # a worker that does not leave by then is killed
# A worker that stands still is noticed within five seconds. Half a second's work is some CPU time, however
# little of a processor there is for it.
_LOOK_SECONDS = 0.5
_STILL_LOOKS = 7


class WorkerDiedError(Exception):
    """The process is gone, or does not read: what it was doing is lost."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """What goes to a worker for one job. The sender keeps ownership of the blob."""

    body: bytes
    blob: Blob | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """Something sent to a worker, and what it will answer."""

    number: int
    count: int  # of jobs
    reply: asyncio.Future[tuple[messages.FromWorker, list[Blob]]]


class Worker:
    """One process. Works on one batch at a time, in the order in which they are sent."""

    def __init__(self, process: asyncio.subprocess.Process, sock: socket.socket, flag: CancelFlag) -> None:
        self.info = b""
        self.alive = True
        self.loaded = False
        self._cause = "the worker process died"
        self._killed_here = False
        self.on_death: Callable[[], None] = lambda: None
        self._process, self._sock, self._flag = process, sock, flag
        self._decoder = msgspec.msgpack.Decoder(messages.FromWorker)
        self._number = 0
        self._open: deque[Exchange] = deque()  # not answered
        self._pulse = Pulse(process.pid)
        loop = asyncio.get_running_loop()
        loop.add_reader(sock.fileno(), self._on_readable)
        self._next_look = loop.call_later(_LOOK_SECONDS, self._look)

    @classmethod
    async def spawn(cls, threads: int, name: str) -> Worker:
        """Starts a process that waits for its task. Whoever calls must ``stop`` it.

        ``name`` is seen in lists of processes.
        """
        front, back = messages.socket_pair()
        front.setblocking(False)
        with contextlib.ExitStack() as failed, back:
            failed.callback(front.close)
            flag = CancelFlag.create()
            failed.callback(flag.close)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "earshot.runtime.worker", str(back.fileno()), str(flag.fd), str(os.getpid()), name),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(back.fileno(), flag.fd),
                env=_environment(threads),
            )
            failed.pop_all()
        return cls(process, front, flag)

    async def load(self, spec: messages.TaskSpec) -> None:
        """Waits until the process has loaded its task.

        Raises :class:`WorkerDiedError` when it dies before that, and the task's own error when it
        cannot be made.
        """
        reply, _ = await self._exchange(spec).reply
        if isinstance(reply, messages.Refused):
            raise from_parts(reply.error)
        if not isinstance(reply, messages.Ready):
            raise WorkerDiedError("the worker answered out of turn")
        self.info = reply.info
        self.loaded = True

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send(self, items: Sequence[WorkItem]) -> Exchange:
        """Hands over a batch; :meth:`outcomes` waits for what comes of it.

        Raises :class:`WorkerDiedError`; and ``OSError`` where this process has run out of something.
        """
        self._number += 1
        blobs = [item.blob for item in items if item.blob]
        batch = messages.Batch(
            self._number, [item.body for item in items], [item.blob is not None for item in items]
        )
        return self._exchange(batch, blobs, len(items))

    async def outcomes(self, exchange: Exchange) -> list[Result | Fault]:
        """One outcome for each item, in order.

        Raises :class:`WorkerDiedError`; and ``OSError`` where this process has run out of something, so that
        the outcomes are lost.
        """
        reply, received = await exchange.reply
        if not isinstance(reply, messages.Done) or _of(reply) != (exchange.number, exchange.count):
            raise WorkerDiedError("the worker answered out of turn")
        return _outcomes(reply, received)

    def cancel(self, exchange: Exchange) -> None:
        """Tells the worker that nobody waits for that batch; it ends it when its engine next looks."""
        self._flag.set(exchange.number)

    def _exchange(self, message: msgspec.Struct, blobs: Sequence[Blob] = (), count: int = 0) -> Exchange:
        if not self.alive:
            raise WorkerDiedError("the worker process died")
        try:
            messages.send(self._sock, message, blobs)
        except OSError as exc:
            if shortage(exc):
                raise
            raise WorkerDiedError("the worker is gone, or does not read") from exc
        exchange = Exchange(self._number, count, asyncio.get_running_loop().create_future())
        exchange.reply.add_done_callback(lambda reply: reply.cancelled() or reply.exception())  # seen
        self._open.append(exchange)
        return exchange

    def _on_readable(self) -> None:
        try:
            data, blobs = messages.receive(self._sock)
            reply = self._decoder.decode(data)
        except BlockingIOError:
            return
        except (EOFError, msgspec.DecodeError) as exc:
            self._lose(exc)
            return
        except OSError as exc:
            self._fail_next(exc)
            return
        if self._open and not (waiting := self._open.popleft().reply).done():
            waiting.set_result((reply, blobs))

    def _fail_next(self, error: Exception) -> None:
        if self._open and not (waiting := self._open.popleft().reply).done():
            waiting.set_exception(error)

    def _lose(self, cause: Exception) -> None:
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self.alive = False
        while self._open:
            error = WorkerDiedError(self._cause)
            error.__cause__ = cause
            self._fail_next(error)
        self.on_death()

    def _look(self) -> None:
        """A process that is stopped or locked up never answers; who waits for it would wait for ever."""
        if self._pulse.look(at_work=self.loaded and bool(self._open)) >= _STILL_LOOKS:
            self.kill("the worker process stood still")
        self._next_look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    async def was_killed(self) -> bool:
        """Whether somebody else has killed it, and not what it was doing; waits until it has ended."""
        await self.stop()
        return not self._killed_here and self._process.returncode == -signal.SIGKILL

    def kill(self, why: str = "the worker process was killed") -> None:
        """At once; the batch at work ends with :class:`WorkerDiedError` that says ``why``."""
        self._cause, self._killed_here = why, True
        # Not Process.kill: it looks first whether the process has ended, and so takes the exit status
        # from the one who waits for it.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Closes the socket, which ends the process, and sees it end. May be called again."""
        self._next_look.cancel()
        loop = asyncio.get_running_loop()
        if self._sock.fileno() >= 0:
            loop.remove_reader(self._sock.fileno())
            self._sock.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        self._flag.close()


def _of(reply: messages.Done) -> tuple[int, int]:
    return reply.number, len(reply.outcomes)


def _outcomes(reply: messages.Done, blobs: list[Blob]) -> list[Result | Fault]:
    rest = iter(blobs)
    return [
        Fault(from_parts(outcome.error), outcome.seconds)
        if isinstance(outcome, messages.Failure)
        else Result(outcome.body, outcome.seconds, next(rest) if outcome.blob else None)
        for outcome in reply.outcomes
    ]


def _environment(threads: int) -> dict[str, str]:
    """One thread a worker unless told otherwise; no weights are fetched while serving.

    How the front process is to keep memory of large messages is not for engines.
    """
    count = str(threads)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return ours | {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }

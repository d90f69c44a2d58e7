"""Small tasks for workers in tests; each job's body says what to do."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from earshot import errors
from earshot.runtime.blobs import Blob
from earshot.runtime.task import Cancelled, Fault, Job, Result, one_by_one


class Echo:
    """Does what a job's body says, and answers with its blob reversed."""

    info = b"echo"

    def __init__(self, options: dict[str, str]) -> None:
        self._scratch = Path(options.get("scratch", "/nowhere"))
        self._device = options.get("device", "")

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        return one_by_one(lambda job: self._work(job, cancelled), jobs)

    def _work(self, job: Job, cancelled: Cancelled) -> tuple[bytes, Blob | None]:  # noqa: C901, PLR0912 - a table
        command, _, argument = job.body.decode().partition(" ")
        if command == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if command == "abort":
            os.abort()
        if command == "starve":
            raise MemoryError
        if command == "starve-once" and not (self._scratch / argument).exists():
            (self._scratch / argument).touch()
            raise MemoryError
        if command == "die-once" and not (self._scratch / argument).exists():
            (self._scratch / argument).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if command == "sleep":
            self._sleep(float(argument), cancelled)
        if command == "stuck":
            time.sleep(float(argument))
        if command == "refuse":
            raise errors.InvalidArgumentError("no good", reason="NO_GOOD", field="config.model")
        if command == "crash":
            raise ValueError("canary")
        if command == "modules":
            return " ".join(sorted(sys.modules)).encode(), None
        if command == "environment":
            return os.environ.get(argument, "").encode(), None
        if command == "device":
            return self._device.encode(), None
        if command == "pid":
            return str(os.getpid()).encode(), None
        if command == "big":
            return b"x" * int(argument), None
        return job.body, Blob.of(bytes(job.blob)[::-1])

    def _sleep(self, seconds: float, cancelled: Cancelled) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.01)
            if cancelled():
                (self._scratch / "cancelled").touch()
                raise errors.CancelledError("nobody waits")


class Together(Echo):
    """Dies of a batch with ``abort`` in it, whatever else is in it."""

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        time.sleep(0.05)
        if any(job.body == b"abort" for job in jobs):
            os.abort()
        return [Result(job.body, 0.01) for job in jobs]


class Batches(Echo):
    """Answers each job with the size of the batch that it came in."""

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        time.sleep(0.05)
        return [Result(str(len(jobs)).encode(), 0.01) for _ in jobs]


def broken(options: dict[str, str]) -> Echo:
    """Cannot be made."""
    raise errors.FailedPreconditionError("no weights", reason="MODEL_NOT_PRESENT")


def dies(options: dict[str, str]) -> Echo:
    """Dies while it loads."""
    os._exit(7)

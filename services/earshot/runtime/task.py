"""What a worker process does, as seen by who writes it. Knows no gRPC."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from earshot import errors
from earshot.runtime.blobs import Blob
from earshot.runtime.messages import ErrorParts
from earshot.runtime.shortage import shortage

Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work: a small body, and bytes in shared memory where there are many."""

    body: bytes
    blob: memoryview


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a job. ``seconds`` is the time that it took, batches shared out by who knows best."""

    body: bytes
    seconds: float
    blob: Blob | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing came of a job."""

    error: errors.EarshotError
    seconds: float


class Task(Protocol):
    """Made once in a worker, then run by its only thread."""

    @property
    def info(self) -> bytes:
        """What the front process wants to know of it, encoded as the two agree."""
        ...

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """One outcome for each job, in order. ``cancelled`` says that nobody waits any more."""
        ...


def one_by_one(work: Callable[[Job], tuple[bytes, Blob | None]], jobs: Sequence[Job]) -> list[Result | Fault]:
    """For tasks that gain nothing from batches: each job by itself, timed, its error its own.

    Raises :class:`MemoryError`, which is the process's.
    """
    return [_attempt(work, job) for job in jobs]


def _attempt(work: Callable[[Job], tuple[bytes, Blob | None]], job: Job) -> Result | Fault:
    start = time.perf_counter()
    try:
        body, blob = work(job)
    except errors.EarshotError as exc:
        return Fault(exc, time.perf_counter() - start)
    except MemoryError:
        raise
    except Exception as exc:  # a fault of one job is not that of the others in its batch
        report(exc)
        return Fault(from_parts(to_parts(exc)), time.perf_counter() - start)
    return Result(body, time.perf_counter() - start, blob)


def report(exc: Exception) -> None:
    """Where it broke, for the log; not the exception's text, which may hold what a caller sent."""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    line = {"event": "worker fault", "pid": os.getpid(), "kind": type(exc).__name__, "frames": frames}
    with contextlib.suppress(OSError):  # where the disk of the log is full
        sys.stderr.write(json.dumps(line) + "\n")


def to_parts(error: BaseException) -> ErrorParts:
    """``error`` as it crosses to the front; a foreign one only by its type: its text may hold content."""
    if isinstance(error, errors.EarshotError):
        return ErrorParts(type(error).__name__, error.message, error.reason, error.field)
    if lack := shortage(error):
        return to_parts(lack)
    return ErrorParts("InternalError", f"the engine failed with {type(error).__name__}", "ENGINE_FAULT")


def from_parts(parts: ErrorParts) -> errors.EarshotError:
    """The error that crossed."""
    kind = getattr(errors, parts.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.EarshotError)):
        kind = errors.InternalError
    error = kind(parts.message, reason=parts.reason, field=parts.field)
    assert isinstance(error, errors.EarshotError)  # noqa: S101 - for the type checker
    return error

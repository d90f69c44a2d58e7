"""A worker process: ``python -m earshot.runtime.worker SOCKET_FD FLAG_FD PARENT NAME``.

It makes its task, says so, then runs batches until its front process is gone. It imports no gRPC:
engines, their threads and their forks are alone here. NAME is for people who list processes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import cast

import msgspec

from earshot.runtime import messages
from earshot.runtime.blobs import Blob
from earshot.runtime.factories import named
from earshot.runtime.flags import CancelFlag
from earshot.runtime.hardening import harden
from earshot.runtime.task import Fault, Job, Result, Task, from_parts, report, to_parts

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Runs until the front process closes its end of the socket."""
    socket_fd, flag_fd, parent = (int(argument) for argument in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the front's to answer
    harden()
    _die_with(parent)
    with socket.socket(fileno=socket_fd) as sock:
        try:
            _serve(sock, CancelFlag(flag_fd))
        except (EOFError, BrokenPipeError):
            return


def _die_with(parent: int) -> None:
    """Even a front process that is killed leaves no worker: prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the front process is already gone")


def _serve(sock: socket.socket, flag: CancelFlag) -> None:
    task = _make_task(sock)
    decoder = msgspec.msgpack.Decoder(messages.Batch)
    while True:
        data, blobs = messages.receive(sock)
        batch = decoder.decode(data)
        _answer(sock, batch, _run(task, batch, blobs, flag))


def _make_task(sock: socket.socket) -> Task:
    data, _ = messages.receive(sock)
    spec = msgspec.msgpack.decode(data, type=messages.TaskSpec)
    try:
        task = cast("Task", named(spec.factory)(spec.options))
    except Exception as exc:
        report(exc)
        messages.send(sock, messages.Refused(to_parts(exc)))
        sys.exit(1)
    messages.send(sock, messages.Ready(task.info))
    return task


def _run(task: Task, batch: messages.Batch, blobs: list[Blob], flag: CancelFlag) -> list[Result | Fault]:
    start = time.perf_counter()
    try:
        return task.run(_jobs(batch, blobs), lambda: flag.is_set(batch.number))
    except MemoryError as exc:  # what has leaked is not given back while this process lives
        report(exc)
        sys.exit(1)
    except Exception as exc:
        report(exc)
        fault = Fault(from_parts(to_parts(exc)), time.perf_counter() - start)
        return [fault] * len(batch.bodies)


def _jobs(batch: messages.Batch, blobs: list[Blob]) -> list[Job]:
    views = iter([_taken(blob) for blob in blobs])
    return [
        Job(body, next(views) if has_blob else memoryview(b""))
        for body, has_blob in zip(batch.bodies, batch.blobs, strict=True)
    ]


def _taken(blob: Blob) -> memoryview:
    with blob:
        return blob.view()


def _answer(sock: socket.socket, batch: messages.Batch, outcomes: Sequence[Result | Fault]) -> None:
    blobs = [outcome.blob for outcome in outcomes if isinstance(outcome, Result) and outcome.blob]
    try:
        messages.send(
            sock, messages.Done(batch.number, [_to_message(outcome) for outcome in outcomes]), blobs
        )
    finally:
        for blob in blobs:
            blob.close()


def _to_message(outcome: Result | Fault) -> messages.Success | messages.Failure:
    if isinstance(outcome, Fault):
        return messages.Failure(to_parts(outcome.error), outcome.seconds)
    return messages.Success(outcome.body, outcome.seconds, outcome.blob is not None)


if __name__ == "__main__":
    main()

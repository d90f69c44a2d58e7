"""The task of a listener, but that pieces of audio of one value throughout crash it, or worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from earshot.runtime.task import Cancelled, Fault, Job, Result
from earshot.stt.streaming import listen_task, wire
from earshot.stt.streaming.listen_task import ListenTask
from tests.drills.faulty.faults import suffer, value_of


class FaultyListener:
    """Listens as the task in it does."""

    info = b""

    def __init__(self, task: ListenTask) -> None:
        self._task = task

    def run(self, jobs: Sequence[Job], cancelled: Cancelled) -> list[Result | Fault]:
        """As the task in it, unless a piece is one of those."""
        for job in jobs:
            suffer(value_of(_samples(job)))
        return self._task.run(jobs, cancelled)


def _samples(job: Job) -> Any:
    """As far as they are raw; what else the bytes may be has many values."""
    message = wire.decode_to_listener(job.body)
    data = (message.data or job.blob) if isinstance(message, wire.Push) else b""
    return np.frombuffer(data[: len(data) // 2 * 2], np.int16)


def make(options: dict[str, str]) -> FaultyListener:
    """As the listener's own."""
    return FaultyListener(listen_task.make(options))

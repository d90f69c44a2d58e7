"""How a pool is built, and how its workers are fed."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from earshot.runtime.batching import MAX_TRIES
from earshot.runtime.settings import ServiceSettings

_BATCH_BYTES = 8 * 1024  # texts of a few hundredths of a second; audio is not counted


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
    tries: int = MAX_TRIES  # workers that may die of one job
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

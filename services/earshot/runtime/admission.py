"""Refuse before working: who may come in, and when the others should come back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from earshot import errors
from earshot.rpc.limits import MEBIBYTE
from earshot.runtime import calls
from earshot.runtime.labels import Line
from earshot.runtime.metrics import Metrics
from earshot.runtime.room import Room
from earshot.runtime.settings import ServiceSettings

_REASONS = _QUEUE_FULL, _MEMORY_FULL, _CLIENT_FULL = ("queue_full", "memory_full", "client_full")
_SMOOTHING = 0.2  # share of the newest service time in the running mean
_RETRY_MINIMUM, _RETRY_MAXIMUM = 0.1, 10.0  # seconds


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How much may be inside at once: at work and waiting."""

    at_work: int  # requests that the workers can hold
    waiting: int  # requests beyond those
    max_bytes: int  # of all messages inside

    @classmethod
    def of(cls, settings: ServiceSettings) -> AdmissionLimits:
        """The part of the settings that concerns admission."""
        return cls(
            at_work=settings.processes * settings.max_batch,
            waiting=settings.queue,
            max_bytes=settings.queue_mebibytes * MEBIBYTE,
        )


class Admission:
    """A bounded number of permits; each knows the size of its request's message, and whose it is.

    No client gets all of them, however much it asks for: another one's call finds room.
    """

    def __init__(self, limits: AdmissionLimits, metrics: Metrics) -> None:
        self._at_work, self._metrics = limits.at_work, metrics
        for reason in _REASONS:
            metrics.rejected.labels(reason)  # at zero from the start: a rate needs a first value
        self._places = Room(limits.at_work + limits.waiting, least=limits.at_work)
        self._bytes = Room(limits.max_bytes, least=0)
        self._mean_seconds = 0.0  # that a request occupies a worker

    @contextlib.contextmanager
    def permit(self, size: int, share: float = 1.0) -> Iterator[None]:
        """Holds a place for a request of ``size`` bytes. Raises ``ResourceExhaustedError`` when full.

        ``share`` is the part of a worker that it takes: 1 for a call, less for a stream, which is mostly
        silent or listening.
        """
        line = calls.current().line
        self._check(line, size, share)
        self._count(line, +share, size)
        try:
            yield
        finally:
            self._count(line, -share, -size)

    def check(self, line: Line, share: float = 1.0) -> None:
        """Raises what :meth:`permit` would for a call of that line, however small."""
        self._check(line, 0, share)

    def observe(self, seconds: float) -> None:
        """A request has occupied a worker for so long: the measure of when to come back."""
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)

    def _check(self, line: Line, size: int, share: float) -> None:
        places, memory = self._places, self._bytes
        if not places.has(share):
            self._refuse(_QUEUE_FULL, f"the replica is full: {places.held:.10g} requests are inside")
        if not memory.has(size):
            self._refuse(_MEMORY_FULL, f"the replica is full: {memory.held:.0f} bytes of requests are inside")
        if not (places.has_for(line, share) and memory.has_for(line, size)):
            self._refuse(_CLIENT_FULL, "this client has its share of the room; what is left is for others")

    def _refuse(self, reason: str, message: str) -> None:
        self._metrics.rejected.labels(reason).inc()
        raise errors.ResourceExhaustedError(f"{message}; try again later", retry_after=self._retry_after())

    def _retry_after(self) -> float:
        """Until about one place is free: the mean time of a request over the workers' number."""
        return min(max(self._mean_seconds / self._at_work, _RETRY_MINIMUM), _RETRY_MAXIMUM)

    def _count(self, line: Line, share: float, size: int) -> None:
        self._places.take(line, share)
        self._bytes.take(line, size)
        self._metrics.admitted.set(self._places.held)

"""How long workers have been at work, together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class BusyTime:
    """Counts who is at work and adds up their time. Any thread may read it: a scrape comes from its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._seconds = 0.0  # up to the last change
        self._changed = time.monotonic()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """One more is at work while the context lasts."""
        self._change(+1)
        try:
            yield
        finally:
            self._change(-1)

    @property
    def count(self) -> int:
        """How many are at work."""
        return self._count

    @property
    def seconds(self) -> float:
        """Their time so far, work under way included; never falls."""
        with self._lock:
            return self._up_to(time.monotonic())

    def _up_to(self, now: float) -> float:
        return self._seconds + self._count * (now - self._changed)

    def _change(self, by: int) -> None:
        with self._lock:
            now = time.monotonic()
            self._seconds, self._changed = self._up_to(now), now
            self._count += by

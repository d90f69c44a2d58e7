"""Calls that have ended are counted and their lines written some at a time.

What that needs is in the processor's caches then, and it takes a quarter of what it does between two calls
(``python -m benchmarks observing``). A process that is killed takes the last moment's with it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from earshot.runtime.calls import Call
from earshot.runtime.logs import log_calls
from earshot.runtime.metrics import Metrics

_TOGETHER: Final = 0.05  # seconds that a call may wait for others


class Book:
    """Of one replica."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._ended: list[Call] = []

    def add(self, call: Call) -> None:
        """It has ended now."""
        call.seconds, call.ended_at = time.monotonic() - call.began, time.time()
        self._ended.append(call)
        if len(self._ended) == 1:
            asyncio.get_running_loop().call_later(_TOGETHER, self.settle)

    def settle(self) -> None:
        """Counts and logs what waits."""
        ended, self._ended = self._ended, []
        for call in ended:
            self._metrics.count(call)
        if ended:
            log_calls(ended)

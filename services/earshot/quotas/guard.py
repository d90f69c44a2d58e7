"""A ledger that may be away: asked no more than it can take, and found again soon after it is back.

A circuit breaker (Nygard 2007, "Release It!"): after a failure nobody asks for a second, then one does.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from earshot.quotas.ledger import LedgerAwayError
from earshot.runtime.logs import logger
from earshot.runtime.metrics import Metrics

_PAUSE: Final = 1.0  # seconds

Answer = TypeVar("Answer")


class Guard:
    """Says whether the ledger is there; every question to it goes through here."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics, self._clock = metrics, clock
        self._asked_again_at = 0.0
        self._away = False
        metrics.quota_store_up.set(1)

    async def ask(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """What the ledger says. Raises ``LedgerAwayError``, at once where it has just been away."""
        now = self._clock()
        if self._away and now < self._asked_again_at:
            raise LedgerAwayError("it was away a moment ago")
        self._asked_again_at = now + _PAUSE  # while one asks, the others do not wait for it
        try:
            answer = await question()
        except LedgerAwayError as exc:
            self._lost(str(exc))
            raise
        self._found()
        return answer

    def _lost(self, cause: str) -> None:
        self._asked_again_at = self._clock() + _PAUSE
        if not self._away:
            self._away = True
            self._metrics.quota_store_up.set(0)
            logger().error("quotas are not known: the store is away", cause=cause)

    def _found(self) -> None:
        if self._away:
            self._away = False
            self._metrics.quota_store_up.set(1)
            logger().info("quotas are known again")

"""How a store that is away is asked."""

from __future__ import annotations

import pytest

from earshot.quotas.guard import Guard
from earshot.quotas.ledger import LedgerAwayError
from earshot.runtime.metrics import Metrics


class Store:
    """Is away while ``away``, and counts how often it is asked."""

    def __init__(self) -> None:
        self.away, self.asked = False, 0

    async def answer(self) -> int:
        self.asked += 1
        if self.away:
            raise LedgerAwayError("ConnectionError")
        return 7


async def test_a_store_that_is_away_is_asked_once_a_second_and_then_found_again() -> None:
    store, now = Store(), [100.0]
    guard = Guard(Metrics("stt"), clock=lambda: now[0])
    assert await guard.ask(store.answer) == 7
    store.away = True
    for _ in range(5):
        with pytest.raises(LedgerAwayError):
            await guard.ask(store.answer)
    assert store.asked == 2
    now[0] += 1.0
    for _ in range(5):
        with pytest.raises(LedgerAwayError):
            await guard.ask(store.answer)
    assert store.asked == 3
    store.away = False
    now[0] += 1.0
    for _ in range(5):
        assert await guard.ask(store.answer) == 7
    assert store.asked == 8

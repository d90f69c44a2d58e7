"""Any history of bills against a model of the ledger: in it stands what is paid and not given back."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from earshot.quotas.ledger import NO_LIMIT
from earshot.quotas.memory import MemoryLedger
from earshot.quotas.types import Bill, Hold, Refused, Unit

T = TypeVar("T")

START = datetime(2099, 11, 25, 9, 0, 30, tzinfo=UTC).timestamp()
DAY = "2099-11-25"
TOTALS = {"small": 5, "middle": 20, "large": 60, "none": 0}
PER_DAY, PER_MINUTE = 150, 80
RATE = 7.0
KEYS = st.sampled_from(sorted(TOTALS))
HOLDERS = st.sampled_from(["first", "second"])


def done(work: Coroutine[Any, Any, T]) -> T:
    """What comes of it at once: nothing in this process is waited for."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits")


@dataclass
class Paid:
    minute: int
    holder: str
    answers: int = 0


class Bills(RuleBasedStateMachine):
    """Of one client and one model, each with a total of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.paid: dict[str, Paid] = {}
        self.now = START

    @property
    def minute(self) -> int:
        return int(self.now // 60)

    def _used(self, minute: int | None = None) -> int:
        return sum(TOTALS[key] for key, one in self.paid.items() if minute in (None, one.minute))

    @rule(key=KEYS, holder=HOLDERS)
    def pay(self, key: str, holder: str) -> None:
        refused = done(self.ledger.pay(_hold(key, holder), (NO_LIMIT, PER_DAY, PER_MINUTE), self.now))
        assert refused == self._refused(key)
        if refused is None:
            known = self.paid.setdefault(key, Paid(self.minute, holder))
            known.holder = known.holder if known.answers else holder

    def _refused(self, key: str) -> Refused | None:
        owed = 0 if key in self.paid else TOTALS[key]
        for window, used, limit in ((1, self._used(), PER_DAY), (2, self._used(self.minute), PER_MINUTE)):
            if owed and used + owed > limit:
                return Refused(window, used, owed)
        return None

    @rule(key=KEYS, holder=HOLDERS)
    def complete(self, key: str, holder: str) -> None:
        done(self.ledger.complete(_hold(key, holder)))
        if key in self.paid:
            self.paid[key].answers += 1

    @rule(key=KEYS, holder=HOLDERS)
    def take_back(self, key: str, holder: str) -> None:
        done(self.ledger.take_back(_hold(key, holder)))
        known = self.paid.get(key)
        if known and not known.answers and known.holder == holder:
            del self.paid[key]

    @rule(key=KEYS)
    def take_back_done(self, key: str) -> None:
        done(self.ledger.take_back_done(_hold(key, "").bill))
        if key in self.paid and self.paid[key].answers == 1:
            del self.paid[key]

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def what_is_paid_is_what_is_used(self) -> None:
        used = done(self.ledger.used("acme", Unit.AUDIO, self.now))
        assert used == (self._used(), self._used(), self._used(self.minute))
        assert used[1] <= PER_DAY
        assert used[2] <= PER_MINUTE

    @invariant()
    def and_what_is_accounted_for(self) -> None:
        accounts = [one.used for one in done(self.ledger.accounts("acme", [DAY]))]
        assert sum(one.audio for one in accounts) == self._used()
        assert sum(one.cost for one in accounts) == RATE * self._used()
        assert sum(one.calls for one in accounts) == sum(one.answers > 0 for one in self.paid.values())


def _hold(key: str, holder: str) -> Hold:
    return Hold(Bill("acme", "whisper", Unit.AUDIO, key, TOTALS[key], rate=RATE), holder)


TestBills = Bills.TestCase
TestBills.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

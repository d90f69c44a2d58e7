"""A ledger in this process: for one replica, and gone with it."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from earshot.quotas.ledger import KNOWN_SECONDS, LATE_SECONDS, NO_LIMIT, Limits
from earshot.quotas.types import Account, Bill, Hold, Refused, Unit, Used
from earshot.quotas.windows import Window, names_at, utc

_MOST_RECORDS: Final = 10_000  # bills that are remembered, so that none is paid twice
_MOST_COUNTS: Final = 50_000  # windows of clients of each kind, and their days

_Count = tuple[str, str, str]  # a window: whose, the unit, and its name
_Name = tuple[str, str]  # of a bill: whose, and its key


@dataclass(slots=True)
class _Record:
    total: int = 0
    holder: str = ""
    done: int = 0
    replayed: int = 0
    counts: tuple[_Count, ...] = ()
    day: str = ""


class MemoryLedger:
    """See :class:`earshot.quotas.ledger.Ledger`; what was touched least lately is forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: OrderedDict[_Name, _Record] = OrderedDict()
        self._answered: OrderedDict[_Name, float] = OrderedDict()  # since when
        self._counts: list[OrderedDict[_Count, int]] = [OrderedDict() for _ in Window]
        self._accounts: OrderedDict[tuple[str, str, str], Used] = OrderedDict()

    async def open(self) -> None:
        """See ``Ledger``."""

    async def pay(self, hold: Hold, limits: Limits, now: float) -> Refused | None:
        """See ``Ledger``."""
        bill, name = hold.bill, _name(hold.bill)
        record = self._records.get(name) or _Record()
        owed = max(0, bill.total - max(bill.base, record.total))
        counts = _counts(bill.client, bill.unit, now)
        for window, (used, limit) in enumerate(zip(self._used(counts), limits, strict=True)):
            if owed and limit != NO_LIMIT and used + owed > limit:
                return Refused(window, used, owed)
        record.total = max(bill.total, record.total)
        if owed or not record.counts:  # who finds it paid pays nothing, and in no other window
            record.counts, record.day = counts, _day(int(now // 86_400))
        if not record.done:
            record.holder = hold.holder
        self._records[name] = record
        self._records.move_to_end(name)
        self._answered.pop(name, None)
        self._forget_answered()
        self._forget_past(now)
        self._add(bill, record, owed)
        return None

    async def is_known(self, client: str, key: str) -> bool:
        """See ``Ledger``."""
        return (client, key) in self._records

    async def complete(self, hold: Hold) -> None:
        """See ``Ledger``."""
        name = _name(hold.bill)
        record = self._records.get(name)
        if record is None:
            return
        record.done += 1
        self._answered[name] = self._clock()
        self._answered.move_to_end(name)
        if record.done == 1:
            self._account(hold.bill, record.day).calls += 1

    async def take_back(self, hold: Hold) -> None:
        """See ``Ledger``."""
        record = self._records.get(_name(hold.bill))
        if record and not record.done and record.holder == hold.holder:
            self._give_back(hold.bill, record)

    async def take_back_done(self, bill: Bill) -> None:
        """See ``Ledger``."""
        record = self._records.get(_name(bill))
        if record and record.done == 1:
            self._give_back(bill, record)
            self._account(bill, record.day).calls -= 1

    async def replay(self, bill: Bill, free: int) -> None:
        """See ``Ledger``."""
        record = self._records.get(_name(bill))
        if record is None or record.total <= bill.base:
            return
        again = record.total - bill.base
        if record.replayed + again <= free:
            record.replayed += again
        else:
            record.total = bill.base

    async def used(self, client: str, unit: Unit, now: float) -> tuple[int, int, int]:
        """See ``Ledger``."""
        month, day, minute = self._used(_counts(client, unit, now))
        return month, day, minute

    async def accounts(self, client: str, days: Sequence[str]) -> list[Account]:
        """See ``Ledger``."""
        wanted = set(days)
        return [
            Account(name, day, model, used)
            for (name, day, model), used in self._accounts.items()
            if day in wanted and client in ("", name)
        ]

    async def close(self) -> None:
        """See ``Ledger``."""

    def _used(self, counts: tuple[_Count, ...]) -> list[int]:
        return [kept.get(count, 0) for kept, count in zip(self._counts, counts, strict=True)]

    def _give_back(self, bill: Bill, record: _Record) -> None:
        self._add(bill, record, -record.total)
        del self._records[_name(bill)]
        self._answered.pop(_name(bill), None)

    def _forget_answered(self) -> None:
        """Those that nobody tries again any more."""
        while self._answered:
            name, since = next(iter(self._answered.items()))
            if since + KNOWN_SECONDS > self._clock():
                return
            del self._answered[name]
            self._records.pop(name, None)

    def _forget_past(self, now: float) -> None:
        """Windows that have ended; of those of one kind, the names are in the order of time."""
        for kept, oldest in zip(self._counts, names_at(now - LATE_SECONDS), strict=True):
            while kept and next(iter(kept))[2] < oldest:
                kept.popitem(last=False)

    def _add(self, bill: Bill, record: _Record, amount: int) -> None:
        for kept, count in zip(self._counts, record.counts, strict=True):
            kept[count] = max(0, kept.get(count, 0) + amount)
            kept.move_to_end(count)
            _forget(kept, _MOST_COUNTS)
        used = self._account(bill, record.day)
        if bill.unit is Unit.AUDIO:
            used.audio += amount
        else:
            used.characters += amount
        used.cost += round(amount * bill.rate)
        _forget(self._records, _MOST_RECORDS)
        _forget(self._answered, _MOST_RECORDS)
        _forget(self._accounts, _MOST_COUNTS)

    def _account(self, bill: Bill, day: str) -> Used:
        return self._accounts.setdefault((bill.client, day, bill.model), Used())


def _name(bill: Bill) -> _Name:
    return bill.client, bill.key


def _counts(client: str, unit: Unit, now: float) -> tuple[_Count, ...]:
    return _counts_of(client, unit.value, names_at(now))


# The same for many records: made once, not with each.


@lru_cache(maxsize=1024)
def _counts_of(client: str, unit: str, names: tuple[str, ...]) -> tuple[_Count, ...]:
    return tuple((client, unit, name) for name in names)


@lru_cache(maxsize=2)
def _day(number: int) -> str:
    return utc(86_400 * number).date().isoformat()


def _forget(mapping: OrderedDict[Any, Any], most: int) -> None:
    while len(mapping) > most:
        mapping.popitem(last=False)

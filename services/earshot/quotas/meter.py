"""What the services pay through, for whom they work."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from earshot import errors
from earshot.quotas.guard import Guard
from earshot.quotas.keys import key_of
from earshot.quotas.ledger import Ledger, LedgerAwayError, Limits
from earshot.quotas.memory import MemoryLedger
from earshot.quotas.refusals import quota_exceeded, quota_name
from earshot.quotas.settings import QuotaSettings
from earshot.quotas.types import ANYONE, Account, Bill, Hold, Refused, Unit
from earshot.quotas.windows import Window
from earshot.runtime import calls
from earshot.runtime.labels import OTHER
from earshot.runtime.metrics import Metrics

Answer = TypeVar("Answer")


class Meter:
    """Quotas and costs of one replica. The client is that of the call which the task answers."""

    def __init__(
        self, settings: QuotaSettings, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self.is_shared = bool(settings.quota_redis_url.get_secret_value())
        self._ledger = _ledger(settings)
        self._guard = Guard(metrics)
        self._settings, self._metrics, self._clock = settings, metrics, clock
        self._settling: set[asyncio.Future[None]] = set()
        _expose(metrics)

    async def start(self) -> None:
        """Looks whether the ledger is there; where it is not, the calls say so, as they do later."""
        with contextlib.suppress(LedgerAwayError):
            await self._guard.ask(self._ledger.open)

    async def check(self, unit: Unit, content: bytes) -> None:
        """Refuses, before any work on ``content``, whom nothing is left. Raises ``QuotaExceededError``."""
        await self._check(unit, lambda: key_of(unit, content))

    async def check_stream(self, unit: Unit, key: str) -> None:
        """The same, of a stream whose bill is known by ``key``."""

        async def known() -> str:
            return key

        await self._check(unit, known)

    async def _check(self, unit: Unit, key: Callable[[], Awaitable[str]]) -> None:
        """Who has paid for this very work before may try it again: it may be what has used the quota up."""
        client, now = client_name(), self._clock()
        limits = self._settings.quota_of(client).limits(unit)
        if max(limits) < 0:
            return
        try:
            used = await self._guard.ask(lambda: self._ledger.used(client, unit, now))
            full = _first_full(used, limits)
            if full is None:
                return
            name = await key()
            if await self._guard.ask(lambda: self._ledger.is_known(client, name)):
                return
        except LedgerAwayError:
            self._unchecked()
            return
        raise self._refused(client, unit, Refused(full, used[full], 0), now)

    @contextlib.asynccontextmanager
    async def paying(self, unit: Unit, model: str, total: int, content: bytes) -> AsyncIterator[None]:
        """For work on ``content``: it is paid before, and given back where the work fails.

        Raises ``QuotaExceededError``, and ``UnavailableError`` where the ledger is away and must not be.
        """
        bill = self.bill(unit, model, total, await key_of(unit, content))
        hold = Hold(bill, secrets.token_hex(8))
        try:
            await self.pay(hold)
            yield
        except BaseException:  # the caller's leaving too
            await self._settle(lambda: self._ledger.take_back(hold))
            raise
        await self._settle(lambda: self._ledger.complete(hold))
        self.count(bill, total)

    async def take_back_done(self, unit: Unit, model: str, content: bytes) -> None:
        """What this call has paid the other service for is given back: it came to nothing here."""
        bill = self.bill(unit, model, 0, await key_of(unit, content))
        await self._settle(lambda: self._ledger.take_back_done(bill))

    def bill(self, unit: Unit, model: str, total: int, key: str, base: int = 0) -> Bill:
        """A bill to this call's client, at the model's price."""
        rate = self._settings.price_of(model).rate(unit)
        return Bill(client_name(), model, unit, key, total, base, rate)

    async def pay(self, hold: Hold) -> None:
        """Pays, or raises as ``paying`` does."""
        bill, now = hold.bill, self._clock()
        limits = self._settings.quota_of(bill.client).limits(bill.unit)
        try:
            refused = await self._guard.ask(lambda: self._ledger.pay(hold, limits, now))
        except LedgerAwayError:
            self._unchecked()
            return
        if refused:
            raise self._refused(bill.client, bill.unit, refused, now)

    async def complete(self, hold: Hold) -> None:
        """The work is done, and what was paid stays."""
        await self._settle(lambda: self._ledger.complete(hold))

    async def replay(self, bill: Bill, free: int) -> None:
        """See ``Ledger``."""
        await self._settle(lambda: self._ledger.replay(bill, free))

    def count(self, bill: Bill, amount: int) -> None:
        """So much of a bill has been answered, for the figures."""
        client = calls.current().client
        self._metrics.billed.labels(bill.unit.value, client).inc(amount / bill.unit.per_whole)
        self._metrics.cost.labels(client).inc(amount * bill.rate / 1e9)

    async def accounts(self, client: str, days: list[str]) -> list[Account]:
        """What was used; by all where ``client`` is empty. Raises ``UnavailableError``."""
        return await self._known(lambda: self._ledger.accounts(client, days))

    async def used(self, client: str, unit: Unit) -> tuple[int, int, int]:
        """What ``client`` has used in each window that lasts now. Raises ``UnavailableError``."""
        now = self._clock()
        return await self._known(lambda: self._ledger.used(client, unit, now))

    async def close(self) -> None:
        """Settles what is still to be settled, and ends the connection."""
        await asyncio.gather(*self._settling, return_exceptions=True)
        await self._ledger.close()

    async def _known(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await self._guard.ask(question)
        except LedgerAwayError:
            raise _away() from None

    async def _settle(self, step: Callable[[], Awaitable[None]]) -> None:
        """Does ``step`` to its end, even where the caller has gone; where the ledger is away, not at all."""
        if not self.is_shared:  # in this process nothing comes between its start and its end
            await step()
            return

        async def settle() -> None:
            with contextlib.suppress(LedgerAwayError):
                await self._guard.ask(step)

        settling = asyncio.ensure_future(settle())
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        await asyncio.shield(settling)

    def _unchecked(self) -> None:
        """The ledger is away: the work goes on uncounted, or not at all."""
        allowed = self._settings.quota_when_away == "open"
        self._metrics.quota_unchecked.labels("allowed" if allowed else "refused").inc()
        if not allowed:
            raise _away()

    def _refused(self, client: str, unit: Unit, refused: Refused, now: float) -> errors.QuotaExceededError:
        limits = self._settings.quota_of(client).limits(unit)
        return quota_exceeded(client, unit, refused, limits, now)


def _ledger(settings: QuotaSettings) -> Ledger:
    url = settings.quota_redis_url.get_secret_value()
    if not url:
        return MemoryLedger()
    from earshot.quotas.redis_ledger import RedisLedger  # noqa: PLC0415 - loads much, OpenTelemetry too

    return RedisLedger(url, settings.quota_redis_seconds, settings.bill_seconds, settings.usage_days)


def _expose(metrics: Metrics) -> None:
    """At zero from the start: a rate needs a first value."""
    for outcome in ("allowed", "refused"):
        metrics.quota_unchecked.labels(outcome)
    for unit in Unit:
        metrics.billed.labels(unit.value, OTHER)
        for window in Window:
            metrics.quota_refused.labels(quota_name(unit, window), OTHER)
    metrics.cost.labels(OTHER)


def _first_full(used: Limits, limits: Limits) -> int | None:
    """The window in which nothing is left."""
    return next((n for n, limit in enumerate(limits) if 0 <= limit <= used[n]), None)


def client_name() -> str:
    """Who is called for: the name that the edge has proved."""
    return calls.current().claimed_client or ANYONE


def _away() -> errors.UnavailableError:
    return errors.UnavailableError(
        "quotas cannot be checked at the moment; try again in a few seconds", reason="QUOTA_STORE_AWAY"
    )

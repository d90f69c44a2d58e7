"""A ledger in Redis: one for all replicas. Each step is a script, which Redis runs as one.

What is kept there: names of clients and models, numbers, and for each call, for minutes, a digest of its
request id and its content. Keys:

    earshot:bill:<client>:<digest>                a bill that was paid
    earshot:used:<client>:<unit>:<window>:<name>  what was used in a window
    earshot:usage:<client>:<day>                  what was used of each model on a day
    earshot:clients                               who was here, by the number of the last day
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from typing import Any, Final, cast

from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from earshot.quotas import scripts
from earshot.quotas.ledger import KNOWN_SECONDS, LATE_SECONDS, LedgerAwayError, Limits
from earshot.quotas.types import Account, Bill, Hold, Refused, Unit
from earshot.quotas.windows import Window, ends_at, names_at, utc

_CONNECTIONS: Final = 8  # a step takes Redis well under a millisecond
_TOGETHER_SECONDS: Final = 0.1  # that an answered bill may wait for others
_CHUNK: Final = 500  # clients' days that are asked for in one go
_CLIENTS: Final = "earshot:clients"
_Values = list[str | int | float]
_FIELDS: Final = {Unit.AUDIO.value: "audio", Unit.CHARACTERS.value: "characters"}


class RedisLedger:
    """See :class:`earshot.quotas.ledger.Ledger`."""

    def __init__(self, url: str, patience: float, bill_seconds: float, usage_days: int) -> None:
        """``patience``: seconds that a step may take, with all that it waits for; ``bill_seconds``: how long
        a bill may stay open. Raises ``ValueError`` for what is no URL.
        """
        pool = aioredis.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=patience,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            # A connection that the server has dropped meanwhile is made anew. Every step may be done twice.
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )
        self._redis = aioredis.Redis.from_pool(pool)
        self._bill_seconds, self._usage_days = max(1, round(bill_seconds)), usage_days
        self._patience = patience
        self._answered: list[Bill] = []  # that are still to be written down
        self._writing: set[asyncio.Future[None]] = set()
        self._pay = self._redis.register_script(scripts.PAY)
        self._complete = self._redis.register_script(scripts.COMPLETE)
        self._take_back = self._redis.register_script(scripts.TAKE_BACK)
        self._replay = self._redis.register_script(scripts.REPLAY)

    async def open(self) -> None:
        """See ``Ledger``. Where many first calls come at once, a name to look up and hands to shake for each
        of them would take longer than a step may.
        """
        async with self._asking():
            await asyncio.gather(*(self._redis.ping() for _ in range(_CONNECTIONS)))

    async def pay(self, hold: Hold, limits: Limits, now: float) -> Refused | None:
        """See ``Ledger``."""
        bill, today = hold.bill, utc(now).date()
        windows = _windows(bill.client, bill.unit, now)
        ends = [end + LATE_SECONDS for end in ends_at(now)]
        keys = [_record(bill), _usage(bill.client, today.isoformat()), _CLIENTS, *windows]
        what: _Values = [bill.total, bill.base, hold.holder, self._bill_seconds, bill.rate]
        whose: _Values = [
            bill.model,
            bill.unit.value,
            bill.client,
            today.toordinal(),
            self._usage_days * 86_400,
        ]
        each = [value for pair in zip(limits, ends, strict=True) for value in pair]
        async with self._asking():
            refused = await self._pay(keys=keys, args=[*what, *whose, *each])
        return Refused(*refused) if refused else None

    async def is_known(self, client: str, key: str) -> bool:
        """See ``Ledger``."""
        async with self._asking():
            return bool(await self._redis.exists(_record_of(client, key)))

    async def complete(self, hold: Hold) -> None:
        """See ``Ledger``. Texts are many and short: theirs are written down together, a moment later, as
        nobody else can take them back. What is heard for another service, that service can.
        """
        if hold.bill.unit is Unit.AUDIO:
            await self._write_down([hold.bill])
            return
        self._answered.append(hold.bill)
        if len(self._answered) == 1:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self._begin)

    def _begin(self) -> None:
        writing = asyncio.ensure_future(self._write_all())
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _write_all(self) -> None:
        bills, self._answered = self._answered, []
        if bills:
            with contextlib.suppress(LedgerAwayError):  # who pays next will find out
                await self._write_down(bills)

    async def _write_down(self, bills: Sequence[Bill]) -> None:
        async with self._asking():
            keys, models = map(_record, bills), (bill.model for bill in bills)
            await self._complete(keys=list(keys), args=[KNOWN_SECONDS, *models])

    async def take_back(self, hold: Hold) -> None:
        """See ``Ledger``."""
        await self._give_back(hold.bill, hold.holder, done=0)

    async def take_back_done(self, bill: Bill) -> None:
        """See ``Ledger``."""
        await self._give_back(bill, "", done=1)

    async def _give_back(self, bill: Bill, holder: str, *, done: int) -> None:
        await self._write_all()  # what has been answered is not given back
        async with self._asking():
            args: _Values = [holder, done, bill.rate, bill.model, bill.unit.value]
            await self._take_back(keys=[_record(bill)], args=args)

    async def replay(self, bill: Bill, free: int) -> None:
        """See ``Ledger``."""
        async with self._asking():
            await self._replay(keys=[_record(bill)], args=[bill.base, free])

    async def used(self, client: str, unit: Unit, now: float) -> tuple[int, int, int]:
        """See ``Ledger``."""
        async with self._asking():
            month, day, minute = await self._redis.mget(_windows(client, unit, now))
        return int(month or 0), int(day or 0), int(minute or 0)

    async def accounts(self, client: str, days: Sequence[str]) -> list[Account]:
        """See ``Ledger``."""
        await self._write_all()  # who asks what was used knows of the last call
        async with self._asking():
            clients = [client] if client else await self._clients(days)
        asked = [(name, day) for name in clients for day in days]
        found: list[Account] = []
        for start in range(0, len(asked), _CHUNK):
            found += await self._some(asked[start : start + _CHUNK])
        return found

    async def _some(self, asked: Sequence[tuple[str, str]]) -> list[Account]:
        """Of some clients and days, in one go."""
        pipeline = self._redis.pipeline(transaction=False)
        for client, day in asked:
            pipeline.hgetall(_usage(client, day))
        async with self._asking():
            answers = await pipeline.execute()
        pairs = zip(asked, answers, strict=True)
        return [account for (client, day), values in pairs for account in _read(client, day, values)]

    async def _clients(self, days: Sequence[str]) -> list[str]:
        """Those who have been here since the first of the days; who left long ago is forgotten."""
        oldest = date.today() - timedelta(days=self._usage_days)  # noqa: DTZ011 - a day more or less
        await self._redis.zremrangebyscore(_CLIENTS, "-inf", oldest.toordinal() - 1)
        since = date.fromisoformat(days[0]).toordinal() if days else 0
        return cast("list[str]", await self._redis.zrangebyscore(_CLIENTS, since, "+inf"))

    async def close(self) -> None:
        """See ``Ledger``."""
        await asyncio.gather(self._write_all(), *self._writing)
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """What Redis may fail with, as the one thing that it means."""
        try:
            async with asyncio.timeout(self._patience):
                yield
        except (RedisError, OSError, TimeoutError) as exc:
            raise LedgerAwayError(type(exc).__name__) from exc


def _record(bill: Bill) -> str:
    return _record_of(bill.client, bill.key)


def _record_of(client: str, key: str) -> str:
    return f"earshot:bill:{client}:{key}"


def _usage(client: str, day: str) -> str:
    return f"earshot:usage:{client}:{day}"


def _windows(client: str, unit: Unit, now: float) -> list[str]:
    named = zip(Window, names_at(now), strict=True)
    return [f"earshot:used:{client}:{unit.value}:{window}:{name}" for window, name in named]


def _read(client: str, day: str, values: dict[str, Any]) -> list[Account]:
    """A day's hash, whose fields are ``<what>:<model>``."""
    accounts: dict[str, Account] = {}
    for name, value in values.items():
        what, _, model = name.partition(":")
        account = accounts.setdefault(model, Account(client, day, model))
        setattr(account.used, _FIELDS.get(what, what), int(value))
    return list(accounts.values())

"""The edge of it: who asks what has been used, and may know."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2

from earshot import errors
from earshot.gen.v1 import usage_pb2, usage_pb2_grpc
from earshot.quotas.ledger import NO_LIMIT
from earshot.quotas.meter import Meter, client_name
from earshot.quotas.refusals import quota_name
from earshot.quotas.settings import QuotaSettings
from earshot.quotas.types import Account, Unit, Used
from earshot.quotas.windows import Window, days
from earshot.rpc.wire import duration

_ALL: Final = "-"  # AIP-159
_MOST_DAYS: Final = 366
_NANOS: Final = 10**9

_Context = grpc.aio.ServicerContext[Any, Any]


class UsageServicer(usage_pb2_grpc.UsageServicer):
    """Answers ``earshot.v1.Usage``, of whichever service it is part of."""

    def __init__(self, meter: Meter, settings: QuotaSettings) -> None:
        self._meter, self._settings = meter, settings

    async def GetUsage(  # noqa: N802 - the method's name in the proto
        self, request: usage_pb2.GetUsageRequest, context: _Context
    ) -> usage_pb2.GetUsageResponse:
        """What was used on some days."""
        client = self._client(request.client)
        accounts = await self._meter.accounts(client, _days(request))
        accounts.sort(key=lambda one: (one.client, one.day, one.model))
        total = _record(Account(client, "", "", _sum(accounts)), self._currency)
        return usage_pb2.GetUsageResponse(
            records=[_record(account, self._currency) for account in accounts],
            total=total,
            quotas=await self._quotas(client) if client else [],
            partial=not self._meter.is_shared,
        )

    @property
    def _currency(self) -> str:
        return self._settings.currency

    def _client(self, asked: str) -> str:
        """Of whom the caller wants to know; empty: of all. Raises ``PermissionDeniedError``."""
        caller = client_name()
        if caller in self._settings.operator_names:
            return "" if asked == _ALL else asked or caller
        # A caller may be called as all are.
        if asked in ("", caller) and asked != _ALL:
            return caller
        raise errors.PermissionDeniedError(
            f"{caller} may not see what others have used: leave client empty, or ask an operator",
            reason="NOT_AN_OPERATOR",
            field="client",
        )

    async def _quotas(self, client: str) -> list[usage_pb2.QuotaState]:
        states = []
        for unit in Unit:
            limits = self._settings.quota_of(client).limits(unit)
            if max(limits) == NO_LIMIT:
                continue
            used = await self._meter.used(client, unit)
            states += _states(unit, limits, used)
        return states


def _states(unit: Unit, limits: Iterable[int], used: Iterable[int]) -> list[usage_pb2.QuotaState]:
    now = datetime.now(UTC)
    return [
        usage_pb2.QuotaState(
            quota=quota_name(unit, window),
            limit=limit / unit.per_whole,
            used=amount / unit.per_whole,
            reset_time=_timestamp(window.ends_after(now)),
        )
        for window, limit, amount in zip(Window, limits, used, strict=True)
        if limit != NO_LIMIT
    ]


def _timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _days(request: usage_pb2.GetUsageRequest) -> list[str]:
    """The days asked for. Raises ``InvalidArgumentError``."""
    today = datetime.now(UTC).date()
    last = _day(request.last_day, "last_day", today)
    first = _day(request.first_day, "first_day", min(today, last).replace(day=1))
    if not 0 <= (last - first).days < _MOST_DAYS:
        raise errors.InvalidArgumentError(
            f"from {first} to {last} is no range of 1 to {_MOST_DAYS} days",
            reason="DAYS_OUT_OF_RANGE",
            field="first_day",
        )
    return days(first, last)


def _day(text: str, field: str, default: date) -> date:
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        raise errors.InvalidArgumentError(
            f"{text[:20]!r} is no day: write it as 2026-11-25", reason="DAY_MALFORMED", field=field
        ) from None


def _record(account: Account, currency: str) -> usage_pb2.UsageRecord:
    used = account.used
    units, nanos = divmod(used.cost, _NANOS)
    return usage_pb2.UsageRecord(
        client=account.client,
        day=account.day,
        model=account.model,
        calls=used.calls,
        audio_duration=duration(used.audio / Unit.AUDIO.per_whole),
        characters=used.characters,
        cost=money_pb2.Money(currency_code=currency, units=units, nanos=nanos),
    )


def _sum(accounts: Iterable[Account]) -> Used:
    total = Used()
    for account in accounts:
        total.calls += account.used.calls
        total.audio += account.used.audio
        total.characters += account.used.characters
        total.cost += account.used.cost
    return total

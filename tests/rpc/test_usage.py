"""Who has used how much, as clients and operators ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from earshot import errors
from earshot.gen.v1 import usage_pb2
from tests.redis_server import RedisServer
from tests.rpc.conftest import Start
from tests.rpc.paying import by, clip, quotas, refusal


def asked(service: Any, caller: str, **request: str) -> Any:
    return service.usage.GetUsage(usage_pb2.GetUsageRequest(**request), metadata=by(caller))


async def test_a_client_sees_its_own_usage_and_an_operator_all(
    start_speech: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server, audio_seconds_per_month=100) | {"operators": "boss", "currency": "EUR"}
    async with start_speech(**settings) as service:
        for caller in ("acme", "acme", "beta"):
            await service.speech.Recognize(clip(), metadata=by(caller))
        own = await asked(service, "acme")
        everyone = await asked(service, "boss", client="-")
        others = await asked(service, "boss", client="beta")
        for client in ("beta", "-", "nobody"):
            error = await refusal(asked(service, "acme", client=client))
            assert isinstance(error, errors.PermissionDeniedError)
            assert error.reason == "NOT_AN_OPERATOR"
        none = await asked(service, "acme", first_day="2020-01-01", last_day="2020-01-31")
    (record,) = own.records
    assert (record.client, record.model, record.calls) == ("acme", "fake", 2)
    assert record.audio_duration.ToMilliseconds() == 4000
    assert (record.cost.currency_code, record.cost.units, record.cost.nanos) == ("EUR", 0, 40_000_000)
    assert own.total.cost == record.cost
    assert [(state.quota, state.limit, state.used) for state in own.quotas] == [
        ("audio_seconds_per_month", 100, 4)
    ]
    assert not own.partial
    assert [one.client for one in everyone.records] == ["acme", "beta"]
    assert everyone.total.calls == 3
    assert [one.client for one in others.records] == ["beta"]
    assert not none.records


async def test_who_is_called_as_all_are_sees_its_own(start_speech: Start, redis_server: RedisServer) -> None:
    """ "-" asks for everyone, and an issuer of tokens may call somebody so."""
    async with start_speech(**quotas(redis_server)) as service:
        for caller in ("acme", "-"):
            await service.speech.Recognize(clip(), metadata=by(caller))
        own = await asked(service, "-")
        error = await refusal(asked(service, "-", client="-"))
    assert [(one.client, one.calls) for one in own.records] == [("-", 1)]
    assert isinstance(error, errors.PermissionDeniedError)


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("yesterday", "", "first_day"),
        ("", "2026-13-01", "last_day"),
        ("2026-01-02", "2026-01-01", "first_day"),
        ("2020-01-01", "2026-01-01", "first_day"),
    ],
)
async def test_days_that_are_none_are_refused(start_speech: Start, first: str, last: str, field: str) -> None:
    async with start_speech() as service:
        error = await refusal(asked(service, "acme", first_day=first, last_day=last))
    assert isinstance(error, errors.InvalidArgumentError)
    assert error.field == field

"""The store of quotas: what it is told, and what happens while it is away."""

from __future__ import annotations

import asyncio
from typing import Any

from earshot import errors
from tests.redis_server import RedisServer
from tests.rpc import seen
from tests.rpc.conftest import Start
from tests.rpc.paying import answered, by, clip, quotas, spoken, texts, used


async def test_while_redis_is_away_calls_go_on_or_not_as_it_is_set(
    start_speech: Start, redis_server: RedisServer
) -> None:
    """Under load from before it dies until it is found again."""
    limits = quotas(redis_server, audio_seconds_per_month=3)
    async with (
        start_speech(**limits) as opened,
        start_speech(**limits, quota_when_away="closed") as closed,
    ):
        await opened.speech.Recognize(clip(), metadata=by())
        assert isinstance(await answered(opened), errors.QuotaExceededError)
        back = asyncio.Event()
        callers = [
            asyncio.ensure_future(until_found(one, back)) for one in (opened, closed) for _ in range(5)
        ]
        redis_server.kill()
        await seen.until(opened, "earshot_quota_store_up", " 0.0")
        await seen.until(closed, "earshot_quota_store_up", " 0.0")
        assert await answered(opened) is None
        assert isinstance(await answered(closed), errors.UnavailableError)
        redis_server.start()
        back.set()
        said = await asyncio.gather(*callers)
        await seen.until(opened, 'earshot_quota_unchecked_total{component="stt",outcome="allowed"}')
    assert set().union(*said[:5]) <= {None, errors.QuotaExceededError}
    assert set().union(*said[5:]) <= {errors.UnavailableError, errors.QuotaExceededError}
    assert used(redis_server) == 2000, "what was used before is known again"


async def until_found(service: Any, back: asyncio.Event) -> set[type[errors.EarshotError] | None]:
    """Calls until the store is back and found again; gives all that was answered."""
    said: set[type[errors.EarshotError] | None] = set()
    while True:
        error = await answered(service)
        said.add(type(error) if error else None)
        if isinstance(error, errors.UnavailableError):
            assert error.reason == "QUOTA_STORE_AWAY"
        if back.is_set() and isinstance(error, errors.QuotaExceededError):
            return said


async def test_a_store_that_says_nothing_holds_no_call_up(
    start_speech: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server, audio_seconds_per_month=100) | {"quota_redis_seconds": 0.2}
    async with start_speech(**settings) as service:
        redis_server.freeze()
        for _ in range(5):
            await service.speech.Recognize(clip(), metadata=by())
        redis_server.thaw()


async def test_the_store_is_reached_before_the_first_call(
    start_speech: Start, redis_server: RedisServer
) -> None:
    """Fifty first calls at once would each open a connection, and find the store slow."""
    async with start_speech(**quotas(redis_server)):
        with redis_server.client() as redis:
            assert redis.info("clients")["connected_clients"] > 2


async def test_a_store_that_is_away_keeps_no_service_from_starting(
    start_speech: Start, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with start_speech(**quotas(redis_server)) as service:
        await seen.until(service, "earshot_quota_store_up", " 0.0")
        await service.speech.Recognize(clip(), metadata=by())
        redis_server.start()


async def test_nothing_of_what_is_said_is_in_the_store(
    start_texts: Start, start_speech: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server)
    request = texts("a canary sings")
    request.config.candidate_labels.append("canary")
    async with (
        start_speech("echo", **settings) as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}", **settings) as service,
    ):
        await service.texts.Classify(request, metadata=by())
        await service.texts.ClassifySpeech(spoken(("canary", "bbb")), metadata=by())
    with redis_server.client() as redis:
        assert len(redis.keys("earshot:bill:*")) == 3
    written = b"".join(path.read_bytes() for path in redis_server.folder.rglob("*") if path.is_file())
    assert b"earshot:bill:acme" in written
    assert b"canary" not in written

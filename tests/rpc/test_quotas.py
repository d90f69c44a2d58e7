"""Quotas over the wire: what is charged to whom, what is given back, and what a client is told at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from earshot import errors
from earshot.gen.v1 import speech_pb2
from tests.redis_server import RedisServer
from tests.rpc.conftest import Start
from tests.rpc.paying import UNIT, by, clip, quotas, refusal, spoken, texts, usage, used


async def test_a_client_is_told_which_quota_how_much_and_until_when(
    start_speech: Start, redis_server: RedisServer
) -> None:
    async with start_speech(**quotas(redis_server, audio_seconds_per_month=5)) as service:
        for _ in range(2):
            await service.speech.Recognize(clip(), metadata=by())
        call = service.speech.Recognize(clip(), metadata=by())
        error = await refusal(call)
        trailers = dict(await call.trailing_metadata())
        await service.speech.Recognize(clip(), metadata=by("other"))
    assert isinstance(error, errors.QuotaExceededError)
    assert error.quota
    assert (error.quota.name, error.quota.limit, error.quota.used) == ("audio_seconds_per_month", 5, 4)
    assert error.subject == "client:acme"
    assert error.message.startswith("acme has used 4 of 5 seconds of audio per month, and this needs 2 more")
    assert 0 < error.retry_after <= 31 * 86_400
    assert trailers["x-envoy-ratelimited"] == "true", "or Envoy tries it on every replica"
    assert (used(redis_server), used(redis_server, "other")) == (4000, 2000)
    assert usage(redis_server) == {f"{UNIT}:fake": 4000, "calls:fake": 2, "cost:fake": 40_000_000}


async def test_what_is_more_than_the_whole_quota_is_not_to_come_back(
    start_speech: Start, redis_server: RedisServer
) -> None:
    async with start_speech(**quotas(redis_server, audio_seconds_per_minute=1)) as service:
        error = await refusal(service.speech.Recognize(clip(), metadata=by()))
    assert isinstance(error, errors.QuotaExceededError)
    assert error.retry_after == 0
    assert "send less at once" in error.message


async def test_who_has_nothing_left_is_refused_before_any_work(
    start_speech: Start, redis_server: RedisServer
) -> None:
    async with start_speech(**quotas(redis_server, audio_seconds_per_month=2)) as service:
        await service.speech.Recognize(clip(), metadata=by())
        no_audio = speech_pb2.RecognizeRequest(content=b"this is no audio")
        error = await refusal(service.speech.Recognize(no_audio, metadata=by()))
    assert isinstance(error, errors.QuotaExceededError)


async def test_the_same_call_again_is_not_charged_again(
    start_speech: Start, redis_server: RedisServer
) -> None:
    """As Envoy sends it to another replica, or the client once more."""
    settings = quotas(redis_server, audio_seconds_per_month=3)
    async with start_speech(**settings) as first, start_speech(**settings) as second:
        both = [one.speech.Recognize(clip(), metadata=by(request_id="r-1")) for one in (first, second)]
        await asyncio.gather(*both)
        error = await refusal(second.speech.Recognize(clip(1.5), metadata=by(request_id="r-1")))
    assert isinstance(error, errors.QuotaExceededError), "other audio by the same id is another call"
    assert used(redis_server) == 2000
    assert usage(redis_server)["calls:fake"] == 1


async def test_what_has_used_the_quota_up_may_be_tried_again(
    start_speech: Start, redis_server: RedisServer
) -> None:
    """Its answer may have been lost on the way."""
    settings = quotas(redis_server, audio_seconds_per_month=2)
    async with start_speech(**settings) as first, start_speech(**settings) as second:
        for replica in (first, second, first):
            await replica.speech.Recognize(clip(), metadata=by(request_id="r-1"))
        error = await refusal(second.speech.Recognize(clip(), metadata=by(request_id="r-2")))
    assert isinstance(error, errors.QuotaExceededError)
    assert used(redis_server) == 2000


@pytest.mark.parametrize("model", ["crash", "abort"])
async def test_what_fails_costs_nothing(start_speech: Start, redis_server: RedisServer, model: str) -> None:
    async with start_speech(model, **quotas(redis_server, audio_seconds_per_month=100)) as service:
        error = await refusal(service.speech.Recognize(clip(), metadata=by()))
    assert isinstance(error, errors.InternalError | errors.UnavailableError)
    assert used(redis_server) == 0
    assert usage(redis_server).get("calls:" + model, 0) == 0


async def until_used(server: RedisServer, wanted: Callable[[int], bool]) -> None:
    while not wanted(await asyncio.to_thread(used, server)):
        await asyncio.sleep(0.02)


async def test_who_leaves_pays_nothing(start_speech: Start, redis_server: RedisServer) -> None:
    async with start_speech("stuck", **quotas(redis_server, audio_seconds_per_month=100)) as service:
        call = service.speech.Recognize(clip(), metadata=by())
        sending = asyncio.ensure_future(call)
        await until_used(redis_server, lambda amount: amount == 2000)
        call.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await until_used(redis_server, lambda amount: amount == 0)


async def test_texts_are_charged_by_their_characters(start_texts: Start, redis_server: RedisServer) -> None:
    async with start_texts(**quotas(redis_server, characters_per_month=8)) as service:
        await service.texts.Classify(texts("one", "two"), metadata=by())
        error = await refusal(service.texts.Classify(texts("three"), metadata=by()))
    assert isinstance(error, errors.QuotaExceededError)
    assert error.quota
    assert (error.quota.name, error.quota.used) == ("characters_per_month", 6)
    assert used(redis_server, unit="characters") == 6


async def test_scored_speech_is_charged_once_by_each_service(
    start_speech: Start, start_texts: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server, audio_seconds_per_month=3)
    async with (
        start_speech(**settings) as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}", **settings) as service,
    ):
        answer = await service.texts.ClassifySpeech(spoken(), metadata=by())
        error = await refusal(service.texts.ClassifySpeech(spoken(), metadata=by()))
    assert used(redis_server) == 2000
    assert used(redis_server, unit="characters") == len(answer.transcript) == len("heard 32000")
    assert isinstance(error, errors.QuotaExceededError)
    assert error.quota
    assert error.quota.name == "audio_seconds_per_month"


async def test_what_was_heard_for_scores_that_fail_is_given_back(
    start_speech: Start, start_texts: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server, audio_seconds_per_month=100)
    async with (
        start_speech("echo", **settings) as speech,
        start_texts("crash", speech_target=f"127.0.0.1:{speech.port}", **settings) as service,
    ):
        error = await refusal(service.texts.ClassifySpeech(spoken(), metadata=by()))
    assert isinstance(error, errors.InternalError)
    assert (used(redis_server), used(redis_server, unit="characters")) == (0, 0)
    assert usage(redis_server)["calls:echo"] == 0


async def test_without_redis_a_replica_counts_by_itself(start_speech: Start) -> None:
    async with start_speech(quotas={"*": {"audio_seconds_per_month": 3}}) as service:
        await service.speech.Recognize(clip())
        error = await refusal(service.speech.Recognize(clip()))
    assert isinstance(error, errors.QuotaExceededError)
    assert error.subject == "client:anonymous"

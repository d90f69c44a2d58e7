"""Quotas over the wire: what is charged to whom, what is given back, and what a client is told at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from earshot import errors
from earshot.gen.v1 import classification_pb2, speech_pb2, usage_pb2
from earshot.rpc.status import from_rpc_error
from tests.redis_server import RedisServer
from tests.rpc import clips, seen
from tests.rpc import test_streaming_classify as streaming_classify
from tests.rpc.conftest import Start
from tests.rpc.live import Config, Heard, calling, config, cut, requests, talk

UNIT = "audio_seconds"


def quotas(server: RedisServer, **amounts: float) -> dict[str, Any]:
    """Settings by which "acme" may use so much, and others as much as they like."""
    return {
        "quotas": {"acme": amounts},
        "quota_redis_url": server.url,
        "quota_redis_seconds": 30.0,  # a machine under load may take its time
        "prices": {"*": {"audio_minute": 0.6}},
    }


def used(server: RedisServer, client: str = "acme", unit: str = UNIT) -> int:
    """In this month, in the unit's own numbers."""
    with server.client() as redis:
        return sum(int(redis.get(key) or 0) for key in redis.keys(f"earshot:used:{client}:{unit}:month:*"))


def usage(server: RedisServer, client: str = "acme") -> dict[str, int]:
    """All days together, as ``what:model``."""
    found: dict[str, int] = {}
    with server.client() as redis:
        for key in redis.keys(f"earshot:usage:{client}:*"):
            for name, value in redis.hgetall(key).items():
                found[name] = found.get(name, 0) + int(value)
    return found


def by(client: str = "acme", request_id: str = "") -> tuple[tuple[str, str], ...]:
    named = (("x-request-id", request_id),) if request_id else ()
    return (("x-earshot-client", client), *named)


def clip(seconds: float = 2.0) -> speech_pb2.RecognizeRequest:
    return speech_pb2.RecognizeRequest(content=clips.wav(seconds))


async def refusal(call: Any) -> errors.EarshotError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


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


def texts(*inputs: str) -> classification_pb2.ClassifyRequest:
    labels = classification_pb2.ClassificationConfig(candidate_labels=["a", "bbb"])
    return classification_pb2.ClassifyRequest(
        inputs=[classification_pb2.TextInput(text=text) for text in inputs], config=labels
    )


async def test_texts_are_charged_by_their_characters(start_texts: Start, redis_server: RedisServer) -> None:
    async with start_texts(**quotas(redis_server, characters_per_month=8)) as service:
        await service.texts.Classify(texts("one", "two"), metadata=by())
        error = await refusal(service.texts.Classify(texts("three"), metadata=by()))
    assert isinstance(error, errors.QuotaExceededError)
    assert error.quota
    assert (error.quota.name, error.quota.used) == ("characters_per_month", 6)
    assert used(redis_server, unit="characters") == 6


def spoken(labels: tuple[str, ...] = ("a", "bbb")) -> classification_pb2.ClassifySpeechRequest:
    config = classification_pb2.ClassificationConfig(candidate_labels=labels)
    return classification_pb2.ClassifySpeechRequest(
        content=clips.wav(2.0), recognition_config={}, classification_config=config
    )


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


async def stream(service: Any, first: Config, number: int = 1) -> tuple[Heard, errors.EarshotError | None]:
    """One connection by "acme" to its end, and what ended it."""
    heard = Heard()
    call = service.speech.StreamingRecognize(metadata=by())

    async def send() -> None:
        for message in requests(first, CHUNKS[number - 1 :], number):
            await call.write(message)
        await call.done_writing()

    sending = asyncio.ensure_future(send())
    try:
        async for message in call:
            heard.messages.append(message)
    except grpc.aio.AioRpcError as exc:
        return heard, from_rpc_error(exc)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return heard, None


TALK = talk()
CHUNKS = cut(TALK.tobytes())


async def test_a_stream_ends_at_the_limit_and_goes_on_by_its_token(
    start_speech: Start, redis_server: RedisServer, tmp_path: Path
) -> None:
    """What both connections say is what one without a limit says, and all of it is charged once."""
    keys = tmp_path / "keys"
    keys.write_text("the same on all replicas\n")
    async with start_speech("exact", **quotas(redis_server)) as free:
        whole, error = await stream(free, config())
        assert error is None
        assert used(redis_server) == round(len(TALK) / 16)
    with redis_server.client() as redis:
        redis.flushall()
    limited = quotas(redis_server, audio_seconds_per_month=12)
    async with start_speech("exact", resume_keys_file=keys, **limited) as service:
        first, error = await stream(service, config())
        assert isinstance(error, errors.QuotaExceededError)
        assert error.quota
        assert error.retry_after > 0
        assert 0 < used(redis_server) <= 12_000
        last = first.tokens[-1]
        going_on = config()
        going_on.resume_token = last.resume_token
        assert last.committed_offset.ToMilliseconds() - used(redis_server) <= 5_000
        _, error = await stream(service, going_on, last.committed_sequence_number)
        assert isinstance(error, errors.QuotaExceededError), "there is no more room than there was"
    more = quotas(redis_server, audio_seconds_per_month=100)
    async with start_speech("exact", resume_keys_file=keys, **more) as later:
        rest, error = await stream(later, going_on, last.committed_sequence_number)
    assert error is None
    assert first.finals + rest.finals == whole.finals
    assert used(redis_server) == round(len(TALK) / 16)


async def test_a_break_does_not_charge_twice(start_speech: Start, redis_server: RedisServer) -> None:
    """The caller goes on by the token before the last: what it has not seen is heard again, for nothing."""
    async with start_speech("exact", **quotas(redis_server)) as service:
        async with calling(service, requests(config(), CHUNKS)) as call:
            heard = Heard([message async for message in call])
        token = heard.tokens[-3]
        going_on = config()
        going_on.resume_token = token.resume_token
        number = token.committed_sequence_number
        async with calling(service, requests(going_on, CHUNKS[number - 1 :], number)) as call:
            again = Heard([message async for message in call])
    assert again.finals
    assert used(redis_server, "anonymous") == round(len(TALK) / 16)
    assert usage(redis_server, "anonymous")["calls:exact"] == 1


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


async def answered(service: Any) -> errors.EarshotError | None:
    try:
        await service.speech.Recognize(clip(), metadata=by())
    except grpc.aio.AioRpcError as exc:
        return from_rpc_error(exc)
    return None


async def test_a_store_that_says_nothing_holds_no_call_up(
    start_speech: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server, audio_seconds_per_month=100) | {"quota_redis_seconds": 0.2}
    async with start_speech(**settings) as service:
        redis_server.freeze()
        for _ in range(5):
            await service.speech.Recognize(clip(), metadata=by())
        redis_server.thaw()


async def test_without_redis_a_replica_counts_by_itself(start_speech: Start) -> None:
    async with start_speech(quotas={"*": {"audio_seconds_per_month": 3}}) as service:
        await service.speech.Recognize(clip())
        error = await refusal(service.speech.Recognize(clip()))
    assert isinstance(error, errors.QuotaExceededError)
    assert error.subject == "client:anonymous"


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


async def test_a_scored_stream_is_charged_by_both_services_and_ends_at_either_limit(
    start_speech: Start, start_texts: Start, redis_server: RedisServer
) -> None:
    settings = quotas(redis_server)
    async with (
        start_speech("exact", **settings) as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}", **settings) as service,
    ):
        answers, error = await scored(service)
    assert error is None
    billed = sum(one.classification_metadata.billed_characters for one in answers)
    assert used(redis_server, unit="characters") == billed > 0
    assert used(redis_server) == round(len(TALK) / 16)
    for limited in ({"audio_seconds_per_month": 12}, {"characters_per_month": 60}):
        with redis_server.client() as redis:
            redis.flushall()
        settings = quotas(redis_server, **limited)
        async with (
            start_speech("exact", **settings) as speech,
            start_texts(speech_target=f"127.0.0.1:{speech.port}", **settings) as service,
        ):
            answers, error = await scored(service)
        assert isinstance(error, errors.QuotaExceededError)
        assert error.quota
        assert error.quota.name in limited
        assert any(one.acknowledgement.resume_token for one in answers[1:])


async def scored(service: Any) -> tuple[list[Any], errors.EarshotError | None]:
    """A stream of scored speech by "acme", and what ended it."""

    async def messages() -> AsyncIterator[classification_pb2.StreamingClassifySpeechRequest]:
        for message in [streaming_classify.first(), *streaming_classify.audio(CHUNKS)]:
            yield message

    answers: list[Any] = []
    try:
        async for answer in service.texts.StreamingClassifySpeech(messages(), metadata=by()):
            answers.append(answer)  # noqa: PERF401 - what came before an error counts
    except grpc.aio.AioRpcError as exc:
        return answers, from_rpc_error(exc)
    return answers, None

"""Streams and quotas: charged as they go, ended at the limit, and once whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from earshot import errors
from earshot.gen.v1 import classification_pb2
from earshot.quotas.ledger import KNOWN_SECONDS
from earshot.rpc.status import from_rpc_error
from tests.redis_server import RedisServer
from tests.rpc import test_streaming_classify as streaming_classify
from tests.rpc.conftest import Running, Start
from tests.rpc.live import Config, Heard, calling, config, cut, requests, talk
from tests.rpc.paying import answered, by, quotas, usage, used

TALK = talk()
CHUNKS = cut(TALK.tobytes())


@asynccontextmanager
async def both(
    start_speech: Start, start_texts: Start, settings: dict[str, Any]
) -> AsyncIterator[tuple[Running, Running]]:
    """The two services, with the same settings."""
    async with (
        start_speech("exact", **settings) as speech,
        start_texts(speech_target=f"127.0.0.1:{speech.port}", **settings) as texts,
    ):
        yield speech, texts


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


async def test_what_has_used_the_quota_up_may_be_heard_again(
    start_speech: Start, redis_server: RedisServer
) -> None:
    """The last messages may have been lost on the way."""
    exactly = quotas(redis_server, audio_seconds_per_month=round(len(TALK) / 16) / 1000)
    async with start_speech("exact", **exactly) as service:
        whole, error = await stream(service, config())
        assert error is None
        token = whole.tokens[0]
        going_on = config()
        going_on.resume_token = token.resume_token
        rest, error = await stream(service, going_on, token.committed_sequence_number)
        assert error is None
        error = await answered(service)
    assert rest.finals
    assert rest.finals == whole.finals[-len(rest.finals) :]
    assert isinstance(error, errors.QuotaExceededError), "another has nothing left"
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


async def test_the_bill_of_a_stream_is_known_while_it_may_go_on_and_for_a_while_after_its_end(
    start_speech: Start, start_texts: Start, redis_server: RedisServer
) -> None:
    """Or those of all the streams of a day would be kept."""
    async with both(start_speech, start_texts, quotas(redis_server)) as (speech, service):
        async with calling(speech, requests(config(), CHUNKS[:-1]), end=False) as call:
            heard = Heard()
            while len(heard.finals) < 2:  # each is charged, and goes on where the first did
                heard.messages.append(await anext(aiter(call)))
        (kept,) = remembered(redis_server)
        assert kept > KNOWN_SECONDS
        _, error = await scored(service)
    assert error is None
    ended = sorted(remembered(redis_server))[:-1]
    assert len(ended) == 2, "one of each service"
    assert max(ended) <= KNOWN_SECONDS


def remembered(server: RedisServer) -> list[int]:
    """For how many seconds each bill is."""
    with server.client() as redis:
        return [redis.ttl(key) for key in redis.keys("earshot:bill:*")]


async def test_a_scored_stream_is_charged_by_both_services_and_ends_at_either_limit(
    start_speech: Start, start_texts: Start, redis_server: RedisServer
) -> None:
    async with both(start_speech, start_texts, quotas(redis_server)) as (_, service):
        answers, error = await scored(service)
    assert error is None
    billed = sum(one.classification_metadata.billed_characters for one in answers)
    assert used(redis_server, unit="characters") == billed > 0
    assert used(redis_server) == round(len(TALK) / 16)
    for limited in ({"audio_seconds_per_month": 12}, {"characters_per_month": 60}):
        with redis_server.client() as redis:
            redis.flushall()
        async with both(start_speech, start_texts, quotas(redis_server, **limited)) as (_, service):
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

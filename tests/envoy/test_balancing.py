"""Replicas that come, go, fill up, fall ill and die, under calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
import pytest

from earshot.gen.v1 import speech_pb2
from earshot.local.replicas import CLASSIFICATION, STT
from tests.envoy.harness import PATIENCE, Plane, listed, shares, until
from tests.envoy.hostile import STREAMING, attacker, framed

CALLERS = 20


@asynccontextmanager
async def callers(call: Callable[[], Awaitable[str]], count: int = CALLERS) -> AsyncIterator[list[str]]:
    """Callers, each with one call after the other; gives the replicas that answered, as they do.

    The first call that fails ends the context with its error.
    """
    answered: list[str] = []

    async def keep_calling() -> None:
        while not done.is_set():
            answered.append(await call())

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(keep_calling())
        yield answered
        done.set()


async def more(answered: list[str], count: int) -> None:
    """Waits for so many more answers."""
    goal = len(answered) + count

    async def enough() -> bool:
        return len(answered) >= goal

    await until(enough)


async def test_replicas_get_even_shares(full: Plane) -> None:
    async with callers(lambda: full.recognize("sleep:0.02")) as answered:
        await more(answered, 100)
        answered.clear()  # the first are still warming up in Envoy's eyes
        await more(answered, 600)
        share = shares(answered[:600])
    assert share.keys() == {"stt-1", "stt-2"}
    assert min(share.values()) > 0.4


async def test_a_new_replica_gets_calls_and_none_fails(full: Plane) -> None:
    async with callers(lambda: full.recognize("sleep:0.02")) as answered:
        await more(answered, 100)
        third = await full.start(STT, "stt-3")
        await full.list(STT, *full.listed["stt"], third)
        answered.clear()
        await more(answered, 200)
        assert "stt-3" in answered


async def test_a_replica_taken_out_gets_no_more_calls_and_keeps_its_own(full: Plane) -> None:
    first, second = full.listed["stt"]
    long_call = asyncio.create_task(full.recognize("sleep:1.5"))
    async with callers(lambda: full.recognize("sleep:0.02")) as answered:
        await more(answered, 100)
        full.publish(STT, first)

        async def forgotten() -> bool:
            return second.port not in await full.envoy.health()

        await until(forgotten)
        await more(answered, 10 * CALLERS)  # those that it has may take their time
        answered.clear()
        await more(answered, 200)
        assert set(answered) == {"stt-1"}
    assert await long_call in {"stt-1", "stt-2"}


@pytest.mark.parametrize("count", [20, 60])
async def test_no_call_fails_when_a_replica_is_killed(full: Plane, count: int) -> None:
    _, second = full.listed["stt"]
    async with callers(lambda: full.recognize("sleep:0.05"), count) as answered:
        await more(answered, 100)
        second.child.kill()
        await more(answered, 600)


async def test_no_call_fails_when_a_replica_drains(full: Plane) -> None:
    """As in a rolling update: it is told to stop, and stays listed for a while."""
    first, second = full.listed["stt"]
    async with callers(lambda: full.recognize("sleep:0.02")) as answered:
        await more(answered, 100)
        stopping = asyncio.create_task(second.child.stop(PATIENCE))
        await more(answered, 200)
        full.publish(STT, first)
        await stopping
        await more(answered, 200)


async def test_large_calls_are_tried_again_too(full: Plane) -> None:
    """A body is held until it is answered: 5 MB, many times the window of a stream."""
    _, second = full.listed["stt"]
    calls = [asyncio.create_task(full.recognize("sleep:1", b"x" * 5_000_000)) for _ in range(6)]

    async def all_at_work() -> bool:
        return await at_work(full) == len(calls)

    await until(all_at_work)
    second.child.kill()
    assert set(await asyncio.gather(*calls)) == {"stt-1"}


async def test_a_full_replica_is_passed_over(plane: Plane) -> None:
    """It refuses before it has answered anything, so Envoy asks the other one."""
    names = ("stt-1", "stt-2")
    backends = await asyncio.gather(*(plane.start(STT, name, FAKE_CAPACITY="1") for name in names))
    await plane.list(STT, *backends)
    busy = asyncio.create_task(plane.recognize("sleep:3"))

    async def taken() -> bool:
        return await at_work(plane) == 1

    await until(taken)
    answered = {await plane.recognize() for _ in range(20)}
    assert answered == set(names) - {await busy}


async def test_replicas_are_told_how_often_a_call_was_tried(plane: Plane) -> None:
    """By Envoy, whatever the caller says: who is full says after three that it is enough."""
    full, other = await asyncio.gather(
        plane.start(STT, "stt-1", FAKE_CAPACITY="1"), plane.start(STT, "stt-2", FAKE_CAPACITY="9")
    )
    await plane.list(STT, full)
    busy = asyncio.create_task(plane.recognize("sleep:30"))

    async def taken() -> bool:
        return await at_work(plane) == 1

    await until(taken)
    await plane.list(STT, full, other)
    request = speech_pb2.RecognizeRequest(config={"model": "attempt"})
    forged = (("x-envoy-attempt-count", "7"),)
    answers = [await plane.speech.Recognize(request, metadata=forged, timeout=PATIENCE) for _ in range(60)]
    assert {answer.results[0].alternatives[0].transcript for answer in answers} == {"1", "2"}
    busy.cancel()


async def test_a_full_service_says_so(plane: Plane) -> None:
    backend = await plane.start(STT, "stt-1", FAKE_CAPACITY="1")
    await plane.list(STT, backend)
    busy = asyncio.create_task(plane.recognize("sleep:5"))

    async def taken() -> bool:
        return await at_work(plane) == 1

    await until(taken)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await plane.recognize()
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    busy.cancel()


async def test_a_stream_refused_by_a_full_replica_goes_elsewhere(plane: Plane) -> None:
    backends = [await plane.start(STT, name, FAKE_CAPACITY="1") for name in ("stt-1", "stt-2")]
    await plane.list(STT, *backends)
    for _ in range(5):
        streams = [plane.speech.StreamingRecognize(timeout=PATIENCE) for _ in backends]
        for stream in streams:
            await stream.write(speech_pb2.StreamingRecognizeRequest(audio={"sequence_number": 1}))
        answers = [await stream.read() for stream in streams]
        assert {answer.metadata.replica for answer in answers} == {"stt-1", "stt-2"}
        for stream in streams:
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF


async def test_a_stream_that_goes_on_while_it_is_tried_elsewhere_is_not_called_too_long(plane: Plane) -> None:
    """Envoy holds no more of it than 64 KiB, and gives up where more comes between two tries."""
    backend = await plane.start(STT, "stt-1", FAKE_CAPACITY="1")
    await plane.list(STT, backend)
    busy = plane.speech.StreamingRecognize(timeout=PATIENCE)
    await busy.write(speech_pb2.StreamingRecognizeRequest(audio={"sequence_number": 1}))
    await busy.read()
    not_taken = "status 200 grpc 14 no replica has taken the stream; try again"
    ended: set[str] = set()
    for after in range(60):  # thousandths of a second: by chance some come between two tries
        ended.add(await asyncio.to_thread(_spoken_at_once, plane.envoy.port, after % 20 / 1000))
    assert ended == {"status 200 grpc 8 full", not_taken}
    busy.cancel()


def _spoken_at_once(port: int, after: float) -> str:
    """How a stream ends that is said so many seconds after its first words."""
    first = speech_pb2.StreamingRecognizeRequest(audio={"sequence_number": 1})
    more = speech_pb2.StreamingRecognizeRequest(audio={"sequence_number": 2, "content": bytes(40_000)})
    with attacker(port) as caller:
        caller.read()  # how much may be sent
        stream = caller.open(STREAMING)
        caller.give(stream, framed(first))
        for _ in range(5):
            time.sleep(after)
            caller.give(stream, framed(more))
        return caller.ended(stream)


async def test_a_service_without_healthy_replicas_is_unavailable(plane: Plane) -> None:
    """Not even in a panic is a call sent to a replica that is known to be bad."""
    backend = await plane.start(STT, "stt-1", EARSHOT_DRAIN_SECONDS="60")
    await plane.list(STT, backend)
    stopping = asyncio.create_task(backend.child.stop(PATIENCE))

    async def ill() -> bool:
        return "failed_active_health_check" in (await plane.envoy.health())[backend.port]

    await until(ill)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await plane.recognize()
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    backend.child.kill()
    await stopping


async def test_reflection_survives_the_loss_of_one_service(full: Plane) -> None:
    (third,) = full.listed["classification"]
    full.publish(CLASSIFICATION)
    assert "earshot.v1.ZeroShotClassifier" in await listed(full)
    await full.list(CLASSIFICATION, third)
    full.publish(STT)
    assert "earshot.v1.SpeechToText" in await listed(full)


async def test_envoy_lets_calls_finish_before_it_goes(full: Plane) -> None:
    long_call = asyncio.create_task(full.recognize("sleep:1"))

    async def taken() -> bool:
        return await at_work(full) == 1

    await until(taken)
    await full.envoy.drain()
    await full.envoy.stop()
    assert await long_call in {"stt-1", "stt-2"}


async def at_work(plane: Plane) -> int:
    """Calls that Envoy has in its hands and has sent on to a replica of speech-to-text."""
    return await plane.envoy.figure("cluster.speech_to_text.upstream_rq_active")

"""What live streams take: memory and descriptors, of many streams and of a long one."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from typing import Any

import grpc
import numpy as np
import psutil

from earshot.gen.v1 import streaming_pb2
from tests.rpc.conftest import Running, Start
from tests.rpc.live import (
    Request,
    calling,
    clip,
    config,
    converse,
    cut,
    requests,
    silence,
    talk,
)
from tests.rpc.seen import listener, until
from tests.rpc.test_life import Process

MEBIBYTE = 2**20
TALK = talk()
CHUNKS = cut(TALK.tobytes())
HUNDREDTH = cut(np.concatenate([silence(0.5), clip("ask-not.flac")[:16_000]]).tobytes())


async def test_a_stream_takes_less_than_a_mebibyte_of_the_front() -> None:
    """Of two hundred, each in the middle of a word."""
    service = await Process.start("stt", EARSHOT_QUEUE="100")
    try:
        await service.events("ready")
        front = psutil.Process(service.process.pid)
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel,
            AsyncExitStack() as open_streams,
        ):
            running = Running(channel, service.port, 0)
            await _open(running, open_streams, 20)
            before = front.memory_info().rss
            await _open(running, open_streams, 200)
            assert (front.memory_info().rss - before) / 200 < MEBIBYTE
    finally:
        service.process.kill()
        await service.process.communicate()


async def _open(service: Running, streams: AsyncExitStack, count: int) -> None:
    calls = [
        await streams.enter_async_context(calling(service, requests(config(), HUNDREDTH), end=False))
        for _ in range(count)
    ]
    await asyncio.gather(*map(_heard_all, calls))


async def _heard_all(call: Any) -> None:
    """The first acknowledgement, and one that says that some audio has come."""
    while not (await call.read()).acknowledgement.acked_sequence_number:
        pass


async def test_a_long_stream_takes_no_more_than_a_short_one(start_speech: Start) -> None:
    """A quarter of an hour, as fast as it goes; the first minutes are to get warm."""
    async with start_speech() as service:
        call = service.speech.StreamingRecognize()
        reading = asyncio.create_task(_finals(call))
        await call.write(Request(streaming_config=config()))
        number = await _say(call, 1, 8)
        before = _resident()
        await _say(call, number, 22)
        await call.done_writing()
        finals = await reading
        after = _resident()
    assert finals > 30 * 5
    assert [now - then < 24 * MEBIBYTE for now, then in zip(after, before, strict=True)] == [True, True]


async def _say(call: Any, number: int, times: int) -> int:
    """Half a minute, so many times; a second a chunk."""
    for _ in range(times):
        for content in cut(TALK.tobytes(), 32_000):
            chunk = streaming_pb2.AudioChunk(content=content, sequence_number=number)
            await call.write(Request(audio=chunk))
            number += 1
    return number


async def _finals(call: Any) -> int:
    count = 0
    while (message := await call.read()) is not grpc.aio.EOF:
        count += len(message.results)
    return count


def _resident() -> tuple[int, int]:
    """Memory of the front, which is this process, and of the listener."""
    gc.collect()
    return psutil.Process().memory_info().rss, listener().memory_info().rss


async def test_no_descriptor_is_left_open(start_speech: Start) -> None:
    """By streams that end, that are left and that fail, at any time."""
    async with start_speech() as service:
        await _come_and_go(service)
        ear = listener()
        before = psutil.Process().num_fds(), ear.num_fds()
        for _ in range(3):
            await _come_and_go(service)
        # What was left a moment ago is still being given back; what is lost stays, to the test's time limit.
        while psutil.Process().num_fds() > before[0] or ear.num_fds() > before[1]:
            await asyncio.sleep(0.02)


async def _come_and_go(service: Running) -> None:
    for first in (config(), config(interim_results=True)):
        await converse(service, first, CHUNKS)
        for messages in (2, 4, 6):
            async with calling(service, requests(first, CHUNKS), end=False) as call:
                for _ in range(messages):
                    await call.read()
        async with calling(service, [*requests(first, CHUNKS), Request()], end=False) as call:
            try:
                await _finals(call)
            except grpc.aio.AioRpcError:
                continue
    await until(service, "earshot_admitted_requests{", " 0.0")
    await until(service, "earshot_workers_busy{", 'pool="engines"', " 0.0")
    await until(service, "earshot_workers_busy{", 'pool="listener-0"', " 0.0")

"""Callers that send a byte a second, and callers that never read."""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import ExitStack

import psutil

from earshot.gen.v1 import speech_pb2
from tests.drills.calls import calling, known, phrases
from tests.drills.drill import Drill, Form, Result
from tests.drills.figures import of_envoy
from tests.drills.stack import Stack
from tests.drills.streams import World, machine
from tests.envoy.hostile import STREAMING, UNARY, Attacker, attacker

_ELSEWHERE = "127.0.0.2"  # their address, which is not that of the good callers
_MOST = 256  # MiB that Envoy and the replicas may take for all of them
_LIMIT = 700.0  # seconds: Envoy waits 600 s for a whole request


async def _run(world: World, form: Form) -> Result:
    result, stack = Result(), world.stack
    crowd = 150 if form.short else 500
    works = await known(stack.target)
    before = await _memory(stack)
    with ExitStack() as connections:
        async with calling(stack.target, works) as load:
            slow, deaf = (
                [
                    connections.enter_context(attacker(stack.port, source=_ELSEWHERE, window=window))
                    for _ in range(crowd)
                ]
                for window in (None, 0)
            )
            await asyncio.to_thread(_begin, slow, deaf)
            most = await _trickle(slow, stack, 10 if form.short else 60)
        load.judge(result)
        taken = (most - before) / 2**20
        result.counts |= {"slow senders": crowd, "who never read": crowd, "MiB for them": taken}
        result.must(taken < _MOST, f"{taken:.0f} MiB for them")
        if not form.short:
            result.counts["s until all were closed"] = await _all_closed(slow, stack, result)
    await stack.settled()
    return result


def _begin(slow: list[Attacker], deaf: list[Attacker]) -> None:
    for one in slow:
        one.open(UNARY)
    said = b"".join(map(_message, _stream()))
    for one in deaf:
        one.http2.send_data(one.open(STREAMING), said[:16_000])
        one.flush()


def _stream() -> list[speech_pb2.StreamingRecognizeRequest]:
    """A stream that is answered, if only by acknowledgements."""
    explicit = {"encoding": 1, "sample_rate_hertz": 16_000, "audio_channel_count": 1}
    config = {"config": {"explicit_decoding_config": explicit}}
    audio = {"sequence_number": 1, "content": phrases(0.3, 1)[0].samples[:12_000]}
    kind = speech_pb2.StreamingRecognizeRequest
    return [kind(streaming_config=config), kind(audio=audio)]


def _message(message: speech_pb2.StreamingRecognizeRequest) -> bytes:
    """As gRPC frames it."""
    data = message.SerializeToString()
    return struct.pack(">?I", False, len(data)) + data


async def _trickle(slow: list[Attacker], stack: Stack, seconds: float) -> int:
    """A byte a second from each; the most memory seen."""
    until, most = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        await asyncio.to_thread(_one_byte, slow)
        most = max(most, await _memory(stack))
        await asyncio.sleep(1)
    return most


def _one_byte(slow: list[Attacker]) -> None:
    for one in slow:
        if not one.closed:
            one.http2.send_data(1, b"\0")
            one.flush()


async def _memory(stack: Stack) -> int:
    """Of Envoy and of all replicas' front processes, in bytes."""
    pids = [stack.envoy(), *[row["pid"] for row in await stack.replicas()]]
    return sum(psutil.Process(pid).memory_info().rss for pid in pids if pid)


async def _all_closed(slow: list[Attacker], stack: Stack, result: Result) -> float:
    """Seconds until Envoy has no request any more, though they would go on."""
    begun = time.monotonic()
    while await of_envoy(stack, "envoy_http_downstream_rq_active", envoy_http_conn_manager_prefix="edge"):
        if time.monotonic() - begun > _LIMIT:
            result.must(holds=False, what="they were not closed")
            break
        await asyncio.to_thread(_one_byte, slow)
        await asyncio.sleep(1)
    return time.monotonic() - begun


DRILL = Drill(
    "slow_callers",
    "callers that send a byte a second, and streams that never read, beside calls",
    "memory is bounded, no other call fails; they are closed at the limit",
    machine,
    _run,
)

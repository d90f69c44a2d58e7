"""A stack with a Prometheus beside it, and minutes of mixed traffic through it, some of it trouble."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import psutil

from earshot.client import AsyncClient
from earshot.local.ports import free_ports
from tests.envoy.test_whole import Whole, earshot, up
from tests.monitoring.traffic import CLIENTS, SAMPLES, Callers, Ledger, requests

SETTINGS = {"EARSHOT_CLIENTS": ",".join(CLIENTS), "EARSHOT_QUEUE": "6"}


@contextmanager
def recorded(seconds: float) -> Iterator[str]:
    """The address of the Prometheus, once there has been traffic for so long."""
    os.environ.update(SETTINGS)
    (port,) = free_ports(1)
    with up("--prometheus", "--prometheus-port", str(port)) as whole:
        assert whole.process.poll() is None, whole.announced
        asyncio.run(_traffic(whole, seconds))
        yield f"http://127.0.0.1:{port}"


async def _traffic(whole: Whole, seconds: float) -> None:
    """Calls in turn, streams as they are spoken, now and then a crowd; an engine dies, a replica comes."""
    end = time.monotonic() + seconds
    async with grpc.aio.insecure_channel(whole.target) as channel:
        callers = Callers(channel, [], Ledger())
        await asyncio.gather(
            _in_turn(callers, end),
            _texts(callers, end),
            _streams(whole, end),
            _crowds(callers, end),
            _death(whole, seconds / 2),
            _growth(whole, seconds * 2 / 3),
        )


async def _in_turn(callers: Callers, end: float) -> None:
    while time.monotonic() < end:
        for client in (*CLIENTS, "somebody"):
            for request in requests():
                await callers.call(request, client)
                await asyncio.sleep(0.2)


async def _texts(callers: Callers, end: float) -> None:
    texts = [request for request in requests() if getattr(request, "inputs", ())]
    while time.monotonic() < end:
        await callers.call(texts[0], CLIENTS[0])
        await asyncio.sleep(0.1)


async def _streams(whole: Whole, end: float) -> None:
    recording = next(SAMPLES.glob("*.wav"))
    async with AsyncClient(whole.target, metadata={"x-earshot-client": CLIENTS[0]}) as client:
        while time.monotonic() < end:
            async with client.stream(recording, realtime=True) as stream:
                async for _ in stream:
                    pass


async def _crowds(callers: Callers, end: float) -> None:
    clip: Any = next(requests())
    while time.monotonic() < end:
        await asyncio.sleep(20)
        await asyncio.gather(*(callers.call(clip, CLIENTS[1]) for _ in range(20)))


async def _death(whole: Whole, after: float) -> None:
    await asyncio.sleep(after)
    (replica, *_) = await asyncio.to_thread(whole.replicas, "stt")
    engine = max(psutil.Process(replica["pid"]).children(), key=lambda one: float(one.create_time()))
    os.kill(engine.pid, signal.SIGKILL)


async def _growth(whole: Whole, after: float) -> None:
    await asyncio.sleep(after)
    await asyncio.to_thread(earshot, "scale", "stt=3", "--state", str(whole.state))

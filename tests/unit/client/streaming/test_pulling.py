"""Blocking sources in their thread, and the pace of recordings."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from earshot.client.streaming.pulling import Puller, cut, paced


async def _pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield bytes(size)


async def test_pieces_come_as_they_are_asked_for_from_another_thread() -> None:
    puller, threads = Puller(), set()

    def source() -> Iterator[bytes]:
        for number in range(3):
            threads.add(threading.current_thread())
            yield bytes([number])

    assert [piece async for piece in puller.iterate(source())] == [b"\0", b"\1", b"\2"]
    assert threads.isdisjoint({threading.main_thread()})
    assert len(threads) == 1
    puller.close()


async def test_what_a_source_raises_comes_through() -> None:
    puller = Puller()

    with pytest.raises(ZeroDivisionError):
        await puller.call(lambda: 1 // 0)
    puller.close()


async def test_who_no_longer_waits_is_not_told() -> None:
    puller, go_on = Puller(), threading.Event()
    waiting = asyncio.create_task(puller.call(go_on.wait))
    await asyncio.sleep(0.05)
    waiting.cancel()
    go_on.set()

    assert await puller.call(lambda: 42) == 42
    puller.close()


def test_a_read_that_never_returns_holds_up_no_exit() -> None:
    code = """
import asyncio, threading
from earshot.client.streaming.pulling import Puller
async def main():
    waiting = asyncio.create_task(Puller().call(threading.Event().wait))
    await asyncio.sleep(0.1)
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_long_pieces_are_cut() -> None:
    assert list(cut(iter([b"abcde", b"", b"fg"]), 2)) == [b"ab", b"cd", b"e", b"fg"]


async def test_a_recording_comes_as_fast_as_it_was_spoken() -> None:
    now, waits = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(round(seconds, 3))
        now += seconds

    frames = (4, 1_000)  # 4 bytes a frame, 1,000 frames a second: 400 bytes are 100 ms
    sizes = [len(piece) async for piece in paced(_pieces(900), frames, lambda: now, sleep)]

    assert sizes == [400, 400, 100]
    assert waits == [0.1, 0.1, 0.025]


async def test_lost_time_is_made_up_for() -> None:
    now, waits = [100.0], []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    async for _ in paced(_pieces(2_000), (4, 1_000), lambda: now[0], sleep):
        now[0] += 0.25 if len(waits) == 1 else 0.0

    assert waits == [0.1, 0.0, 0.0, 0.05, 0.1]

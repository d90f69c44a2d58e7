"""Copies that leave the event loop its turns."""

from __future__ import annotations

import asyncio
import os

import psutil
import pytest

from earshot.runtime.copying import into_memory

_PIECE = 2 * 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, _PIECE - 1, _PIECE, _PIECE + 1, 3 * _PIECE + 5])
async def test_what_is_written_gradually_is_whole(size: int) -> None:
    data = os.urandom(size)
    with await into_memory(data) as blob:
        assert blob.size == size
        assert bytes(blob.view()) == data


async def test_others_have_their_turn_meanwhile() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    going = asyncio.create_task(other())
    (await into_memory(bytes(8 * _PIECE))).close()
    going.cancel()
    assert turns >= 7


async def test_a_caller_that_leaves_meanwhile_leaves_nothing_open() -> None:
    before = psutil.Process().num_fds()
    writing = asyncio.create_task(into_memory(bytes(8 * _PIECE)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert psutil.Process().num_fds() == before + 1
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert psutil.Process().num_fds() == before

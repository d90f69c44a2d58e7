"""A source as pieces of bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from earshot import errors
from earshot.client.streaming import feed
from earshot.client.streaming.pulling import PIECE, Puller


def _open_here(path: Path) -> bool:
    descriptors = Path("/proc/self/fd")
    return any(os.path.realpath(one) == str(path) for one in descriptors.iterdir())


async def test_a_file_is_given_whole(tmp_path: Path) -> None:
    path = tmp_path / "call.ogg"
    path.write_bytes(os.urandom(2 * PIECE + 5))
    puller = Puller()
    found = await feed.opened(path, {}, puller)
    assert b"".join([piece async for piece in found.pieces()]) == path.read_bytes()
    puller.close()


async def test_a_stream_left_in_its_middle_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "call.ogg"
    path.write_bytes(os.urandom(4 * PIECE))
    puller = Puller()
    found = await feed.opened(path, {}, puller)
    pieces = found.pieces()
    assert len(await anext(pieces)) == PIECE
    assert not _open_here(path)
    puller.close()


async def test_a_file_that_goes_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "call.ogg"
    path.write_bytes(os.urandom(4 * PIECE))
    puller = Puller()
    pieces = (await feed.opened(path, {}, puller)).pieces()
    await anext(pieces)
    path.unlink()
    with pytest.raises(errors.EarshotError, match=r"call\.ogg"):
        await anext(pieces)
    puller.close()

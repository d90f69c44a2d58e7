"""Messages of a stream, and what is waited for before its status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from google.protobuf.empty_pb2 import Empty

from earshot import errors
from earshot.runtime.interceptors import _Writer


def _writer(write: Callable[[], Awaitable[None]]) -> _Writer:
    class Context:
        async def write(self, _: Empty) -> None:
            await write()

    return _Writer(cast("Any", Context()), 0.01)


async def test_a_message_that_cannot_be_written_is_not_waited_for() -> None:
    """Or its fault would take the place of the status that stands for it."""

    async def fail() -> None:
        raise ValueError("cannot be encoded")

    writer = _writer(fail)
    with pytest.raises(ValueError, match="encoded"):
        await writer.write(Empty())
    await writer.settle()


async def test_one_that_nobody_reads_is_waited_for() -> None:
    read = asyncio.Event()

    async def wait() -> None:
        await read.wait()

    writer = _writer(wait)
    with pytest.raises(errors.DeadlineExceededError):
        await writer.write(Empty())
    settling = asyncio.create_task(writer.settle())
    await asyncio.sleep(0.05)
    assert not settling.done()
    read.set()
    await settling

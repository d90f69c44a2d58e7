"""Messages compressed one by one: as many bytes fewer as gzip saves, and the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from earshot.client import AsyncClient
from tests.rpc.conftest import Start

TEXTS = [f"a text about number {number}, with words that come again and again" for number in range(200)]
LABELS = ["the first label", "the second label"]


@dataclass
class Counted:
    """A way to a port, and the bytes that went up and down it."""

    port: int = 0
    up: int = 0
    down: int = 0


@asynccontextmanager
async def _counted(port: int) -> AsyncIterator[Counted]:
    counted = Counted()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        while piece := await reader.read(65_536):
            setattr(counted, direction, getattr(counted, direction) + len(piece))
            writer.write(piece)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, back, "up"), copy(onward, writer, "down"), return_exceptions=True)

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        counted.port = server.sockets[0].getsockname()[1]
        yield counted


async def test_texts_and_scores_are_compressed_where_that_is_asked_for(start_texts: Start) -> None:
    async with start_texts() as service:
        found = {}
        for compress in (False, True):
            async with _counted(service.port) as way:
                async with AsyncClient(f"127.0.0.1:{way.port}") as client:
                    scored = await client.classify(TEXTS, LABELS, compress=compress)
                found[compress] = (way, [[one.score for one in each.labels] for each in scored])

    (plain, before), (small, after) = found[False], found[True]
    assert before == after
    assert small.up < plain.up / 3
    assert small.down < plain.down / 3

"""Streams that are ended or left before their source is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from earshot import errors
from earshot.client import AsyncClient, Client, Final, Resumed
from earshot.client.streaming import session
from tests.rpc.client.listening import (
    GONE,
    HASTY,
    PCM,
    all_of,
    cut,
    flac,
    forever,
    noise,
)
from tests.rpc.client.streaming_service import RATE, Break, Service, spoken


async def test_finish_ends_the_source_and_loses_nothing(service: Service) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for piece in cut(spoken(3)):
            yield piece
        await asyncio.Event().wait()

    async with AsyncClient(service.target, retry=HASTY) as client:
        stream = client.stream(endless(), sample_rate=RATE)
        events = []
        async for event in stream:
            events.append(event)
            if isinstance(event, Final) and event.text == "w2":
                stream.finish()

    assert stream.result.text.startswith("w1 w2")
    assert stream.summary
    assert stream.summary.complete


def test_finish_ends_a_file_also_after_a_break(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "READ_AHEAD", 64 * 1024)
    path = tmp_path / "long.flac"
    path.write_bytes(flac(noise(300)))
    service.then(Break(4, GONE))
    with Client(service.target, retry=HASTY) as client, client.stream(path) as stream:
        for event in stream:
            if isinstance(event, Resumed):
                stream.finish()

    assert stream.summary
    assert stream.summary.complete
    assert sum(service.connections[1].sizes) < path.stat().st_size


def test_leaving_early(service: Service) -> None:
    with Client(service.target) as client:
        with client.stream(cut(PCM), sample_rate=RATE) as stream:
            next(stream)
        assert list(stream) == []
        assert stream.summary is None


async def test_closing_under_another_task(service: Service) -> None:
    async def silence() -> AsyncIterator[bytes]:
        yield b"\0\0"
        await asyncio.Event().wait()

    async with AsyncClient(service.target) as client:
        stream = client.stream(silence(), sample_rate=RATE, interim_results=False)
        reading = asyncio.create_task(all_of(stream))
        while not service.connections:
            await asyncio.sleep(0.01)
        await stream.aclose()
        assert all(not isinstance(event, Final) for event in await reading)


async def test_cancelling_the_reader(service: Service) -> None:
    async with AsyncClient(service.target) as client, client.stream(forever(), sample_rate=RATE) as stream:
        reading = asyncio.create_task(all_of(stream))
        while not service.connections:
            await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_closing_the_client_ends_its_streams(service: Service) -> None:
    client = AsyncClient(service.target, retry=HASTY)
    stream = client.stream(forever(), sample_rate=RATE)
    await anext(stream)

    await client.close()

    with pytest.raises(errors.CancelledError, match="closed"):
        await all_of(stream)


def test_a_closed_client_streams_no_more(service: Service) -> None:
    with Client(service.target) as client:
        pass

    with pytest.raises(errors.FailedPreconditionError, match="closed"):
        client.stream(cut(PCM), sample_rate=RATE)

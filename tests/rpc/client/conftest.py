"""Scripted services on real ports, asked by the sync and by the async client alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from earshot.client import AsyncClient, Client
from tests.rpc.client.listening import HASTY, Heard, Listen
from tests.rpc.client.scripted import Script, served
from tests.rpc.client.streaming_service import Service, serving

Settings = dict[str, Any]


class Ask(Protocol):
    """Calls one method of a client that is closed afterwards."""

    def __call__(self, method: str, *args: Any, client: Settings | None = None, **options: Any) -> Any: ...


@pytest.fixture
def script() -> Iterator[Script]:
    with served(Script()) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, script: Script) -> Ask:
    defaults = {"target": script.target, "retry": HASTY, "timeout": 10.0}

    def sync(method: str, *args: Any, client: Settings | None = None, **options: Any) -> Any:
        with Client(**defaults | (client or {})) as connected:
            return getattr(connected, method)(*args, **options)

    async def answer(method: str, *args: Any, client: Settings | None = None, **options: Any) -> Any:
        async with AsyncClient(**defaults | (client or {})) as connected:
            return await getattr(connected, method)(*args, **options)

    def run(*args: Any, **options: Any) -> Any:
        return asyncio.run(answer(*args, **options))

    return sync if request.param == "sync" else run


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def listen(request: pytest.FixtureRequest, service: Service) -> Listen:
    def sync(source: Any, **options: Any) -> Heard:
        with Client(service.target, retry=HASTY) as client, client.stream(source, **options) as stream:
            return list(stream), stream.result

    async def listened(source: Any, **options: Any) -> Heard:
        async with (
            AsyncClient(service.target, retry=HASTY) as client,
            client.stream(source, **options) as stream,
        ):
            return [event async for event in stream], stream.result

    return sync if request.param == "sync" else lambda *a, **k: asyncio.run(listened(*a, **k))

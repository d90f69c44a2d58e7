"""A scripted service on a real port, asked by the sync and by the async client alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from earshot.client import AsyncClient, Client, RetryPolicy
from tests.rpc.client.scripted import Script, served

# Retries at once: no test waits for a back-off.
HASTY = RetryPolicy(initial=0.0, maximum=0.0)


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

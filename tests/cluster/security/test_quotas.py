"""Three pods and two Envoys share one client's quota, by a Redis in the cluster."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from earshot.client import AsyncClient, EarshotError, RetryPolicy
from earshot.errors import QuotaExceededError
from tests.cluster.kube import until
from tests.cluster.security.conftest import QUOTA_SECONDS, Closed
from tests.cluster.security.test_matrix import CLIP

CLIP_SECONDS = 1.5
CALLERS, CONNECTIONS = 50, 10
ROOM = int(QUOTA_SECONDS / CLIP_SECONDS)


def _clip(path: Path) -> tuple[bytes, int]:
    """The first words of a recording, raw, and its rate in hertz."""
    with wave.open(str(path)) as reader:
        return reader.readframes(int(reader.getframerate() * CLIP_SECONDS)), reader.getframerate()


@asynccontextmanager
async def _client(closed: Closed, name: str = "dave") -> AsyncIterator[AsyncClient]:
    """Of ``name``; what does not get through is tried again, and charged once."""
    token, retry = closed.registry.token(name).headers, RetryPolicy(max_attempts=10)
    async with AsyncClient(
        closed.address,
        credentials=closed.credentials,
        metadata=token,
        server_name="localhost",
        timeout=300,
        retry=retry,
    ) as client:
        yield client


async def _call(client: AsyncClient) -> str | EarshotError:
    """The pod that answered, or why none did."""
    samples, rate = _clip(CLIP)
    try:
        answer = await client.recognize(samples, encoding="linear16", sample_rate=rate, channels=1)
    except EarshotError as error:
        return error
    return answer.replica


async def _worked(closed: Closed) -> None:
    """Until each pod has answered somebody else: none of them is still about to be found by an Envoy."""
    pods = set(closed.release.names("stt"))
    async with asyncio.timeout(60), _client(closed, "alice") as client:
        while pods:
            pods.discard(str(await _call(client)))


async def _calls(closed: Closed) -> list[str | EarshotError]:
    """Of all callers at once, over a few connections, which lead to both Envoys."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(closed)) for _ in range(CONNECTIONS)]
        return await asyncio.gather(*(_call(clients[n % CONNECTIONS]) for n in range(CALLERS)))


def test_fifty_callers_stay_within_one_quota(closed: Closed, figure: Callable[[str], None]) -> None:
    until(lambda: closed.release.settled("stt", 3), 120, "three pods")
    asyncio.run(_worked(closed))
    said = asyncio.run(_calls(closed))
    answered = [one for one in said if isinstance(one, str)]
    refused = [one for one in said if isinstance(one, QuotaExceededError)]
    assert (len(answered), len(refused)) == (ROOM, CALLERS - ROOM), said
    assert len(set(answered)) > 1, "who calls at once is spread over pods"
    used = asyncio.run(_used(closed))
    figure(f"{len(answered)} of {CALLERS} answered by {len(set(answered))} pods, {used:.3f} s used")
    assert used == ROOM * CLIP_SECONDS


async def _used(closed: Closed) -> float:
    async with _client(closed) as client:
        usage = await client.usage()
    assert not usage.partial
    assert usage.total.calls == ROOM
    (quota,) = usage.quotas
    return quota.used

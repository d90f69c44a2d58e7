"""Three pods and two Envoys share one client's quota, by a Redis in the cluster."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from pathlib import Path

from earshot.client import AsyncClient, EarshotError, RetryPolicy
from earshot.errors import QuotaExceededError
from tests.cluster.kube import until
from tests.cluster.security.conftest import QUOTA_SECONDS, Closed
from tests.cluster.security.test_matrix import CLIP

CLIP_SECONDS = 1.5
CALLERS = 50
ROOM = int(QUOTA_SECONDS / CLIP_SECONDS)


def _clip(path: Path) -> tuple[bytes, int]:
    """The first words of a recording, raw, and its rate in hertz."""
    with wave.open(str(path)) as reader:
        return reader.readframes(int(reader.getframerate() * CLIP_SECONDS)), reader.getframerate()


async def _call(closed: Closed, address: str, token: dict[str, str]) -> str | EarshotError:
    """The pod that answered, or why none did; each caller has a connection of its own."""
    samples, rate = _clip(CLIP)
    client = AsyncClient(
        address,
        credentials=closed.credentials,
        metadata=token,
        server_name="localhost",
        timeout=300,
        retry=RetryPolicy(max_attempts=1),
    )
    async with client:
        try:
            answer = await client.recognize(samples, encoding="linear16", sample_rate=rate, channels=1)
        except EarshotError as error:
            return error
    return answer.replica


def test_fifty_callers_stay_within_one_quota(closed: Closed, figure: Callable[[str], None]) -> None:
    until(lambda: closed.release.settled("stt", 3), 120, "three pods")
    token, address = closed.registry.token("dave").headers, closed.address

    async def calls() -> list[str | EarshotError]:
        return await asyncio.gather(*(_call(closed, address, token) for _ in range(CALLERS)))

    said = asyncio.run(calls())
    answered = [one for one in said if isinstance(one, str)]
    refused = [one for one in said if isinstance(one, QuotaExceededError)]
    assert (len(answered), len(refused)) == (ROOM, CALLERS - ROOM), said
    assert set(answered) == set(closed.release.names("stt")), "all pods have worked"
    used = asyncio.run(_used(closed, address, token))
    figure(f"{len(answered)} of {CALLERS} answered by {len(set(answered))} pods, {used:.3f} s used")
    assert used == ROOM * CLIP_SECONDS


async def _used(closed: Closed, address: str, token: dict[str, str]) -> float:
    async with AsyncClient(
        address, credentials=closed.credentials, metadata=token, server_name="localhost"
    ) as client:
        usage = await client.usage()
    assert not usage.partial
    assert usage.total.calls == ROOM
    (quota,) = usage.quotas
    return quota.used

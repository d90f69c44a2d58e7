"""Speech for streams of the client, and what must come of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np

from earshot import errors
from earshot.client import Final, RetryPolicy
from earshot.client.streaming.transcoding import codec
from tests.rpc.client.streaming_service import RATE, spoken, words

# Retries at once: no test waits for a back-off.
HASTY = RetryPolicy(initial=0.0, maximum=0.0)
SECONDS = 6
GONE = errors.UnavailableError("gone")
Heard = tuple[list[Any], Any]  # events and result
Listen = Callable[..., Heard]


def cut(content: bytes, size: int = 7_001) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def flac(content: bytes) -> bytes:
    encoder = codec("flac").new()
    return b"".join([encoder.encode(piece) for piece in cut(content, 3_200)] + [encoder.finish()])


def noise(seconds: int) -> bytes:
    """What no codec makes small."""
    return np.random.default_rng(1).integers(-8_000, 8_000, seconds * RATE, dtype="<i2").tobytes()


async def live(content: bytes) -> AsyncIterator[bytes]:
    for piece in cut(content):
        yield piece


RAW: dict[str, Any] = {"sample_rate": RATE}
PCM = spoken(SECONDS)


def check(heard: Heard, seconds: int = SECONDS) -> None:
    """Every second once, in order, at its place, and no more; the account says the same."""
    events, result = heard
    finals = [event for event in events if isinstance(event, Final)]
    assert [final.text for final in finals] == words(seconds)
    assert [(final.segment.start, final.segment.end) for final in finals] == [
        (at, at + 1) for at in range(seconds)
    ]
    assert result.text == " ".join(words(seconds))
    assert (result.summary.finals, result.summary.complete) == (seconds, True)
    assert result.summary.audio_received == seconds


async def all_of(stream: Any) -> list[Any]:
    return [event async for event in stream]


async def forever() -> AsyncIterator[bytes]:
    yield b"\0\0"
    await asyncio.Event().wait()

"""Streams over the real wire: whatever breaks, every second is heard once, in order, at its place."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earshot import errors
from earshot.client import AsyncClient, Client, Final, RetryPolicy
from earshot.client.streaming.transcoding import codec
from tests.rpc.client.streaming_service import RATE, Break, Service, serving, spoken, words

HASTY = RetryPolicy(initial=0.0, maximum=0.0)
SECONDS = 6
GONE = errors.UnavailableError("gone")

Heard = tuple[list[Any], Any]  # events and result
Listen = Callable[..., Heard]


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


def _pieces(content: bytes, size: int = 7_001) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def _wav(content: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(content)
    return file.getvalue()


def _flac(content: bytes) -> bytes:
    encoder = codec("flac").new()
    return b"".join([encoder.encode(piece) for piece in _pieces(content, 3_200)] + [encoder.finish()])


async def _live(content: bytes) -> AsyncIterator[bytes]:
    for piece in _pieces(content):
        yield piece


RAW: dict[str, Any] = {"sample_rate": RATE}
PCM = spoken(SECONDS)


def _source(kind: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A source of that kind, and its options."""
    for name, content in (("a.wav", _wav(PCM)), ("a.flac", _flac(PCM))):
        (folder / name).write_bytes(content)
    return {
        "pieces": (_pieces(PCM), RAW),
        "live pieces": (_live(PCM), RAW),
        "encoded here": (_pieces(PCM), RAW | {"codec": "flac"}),
        "live, encoded here": (_live(PCM), RAW | {"codec": "flac"}),
        "array": (np.frombuffer(PCM, dtype="<i2"), RAW),
        "array of floats": (np.frombuffer(PCM, dtype="<i2") / 32768, RAW),
        "WAV": (folder / "a.wav", {}),
        "WAV in memory": (_wav(PCM), {}),
        "WAV, encoded here": (folder / "a.wav", {"codec": "flac"}),
        "open file": (io.BytesIO(_flac(PCM)), {}),
        "FLAC": (str(folder / "a.flac"), {}),
        "FLAC in memory": (_flac(PCM), {}),
        "FLAC in pieces": (_pieces(_flac(PCM), 500), {"encoding": "flac"}),
        "FLAC, encoded here": (folder / "a.flac", {"codec": "flac"}),
        "FLAC in live pieces, encoded here": (_live(_flac(PCM)), {"encoding": "flac", "codec": "flac"}),
    }[kind]


KINDS = (
    "pieces",
    "live pieces",
    "encoded here",
    "live, encoded here",
    "array",
    "array of floats",
    "WAV",
    "WAV in memory",
    "WAV, encoded here",
    "open file",
    "FLAC",
    "FLAC in memory",
    "FLAC in pieces",
    "FLAC, encoded here",
    "FLAC in live pieces, encoded here",
)


def _check(heard: Heard, seconds: int = SECONDS) -> None:
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


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_happens(listen: Listen, service: Service, kind: str, tmp_path: Path) -> None:
    source, options = _source(kind, tmp_path)

    _check(listen(source, **options))

    assert [each.config.resume_token for each in service.connections] == [""]


@pytest.mark.parametrize("kind", KINDS)
def test_connections_break(listen: Listen, service: Service, kind: str, tmp_path: Path) -> None:
    source, options = _source(kind, tmp_path)
    service.then(*(Break(chunks, GONE) for chunks in (0, 1, 3, 2, 5, 4)))

    _check(listen(source, **options))

    assert len(service.connections) > 2

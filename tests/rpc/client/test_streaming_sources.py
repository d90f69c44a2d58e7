"""Streams over the real wire, from every kind of source: each second is heard once, in its place."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earshot import errors
from earshot.client import AsyncClient, Final, Reconnecting, Resumed
from earshot.client.streaming import session
from tests.rpc.client.listening import (
    GONE,
    PCM,
    RAW,
    SECONDS,
    Listen,
    all_of,
    check,
    cut,
    flac,
    live,
    noise,
)
from tests.rpc.client.streaming_service import RATE, Break, Service
from tests.rpc.clips import wav_of


def _source(kind: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A source of that kind, and its options."""
    for name, content in (("a.wav", wav_of(PCM)), ("a.flac", flac(PCM))):
        (folder / name).write_bytes(content)
    return {
        "pieces": (cut(PCM), RAW),
        "live pieces": (live(PCM), RAW),
        "encoded here": (cut(PCM), RAW | {"codec": "flac"}),
        "live, encoded here": (live(PCM), RAW | {"codec": "flac"}),
        "array": (np.frombuffer(PCM, dtype="<i2"), RAW),
        "array of floats": (np.frombuffer(PCM, dtype="<i2") / 32768, RAW),
        "WAV": (folder / "a.wav", {}),
        "WAV in memory": (wav_of(PCM), {}),
        "WAV, encoded here": (folder / "a.wav", {"codec": "flac"}),
        "open file": (io.BytesIO(flac(PCM)), {}),
        "FLAC": (str(folder / "a.flac"), {}),
        "FLAC in memory": (flac(PCM), {}),
        "FLAC in pieces": (cut(flac(PCM), 500), {"encoding": "flac"}),
        "FLAC, encoded here": (folder / "a.flac", {"codec": "flac"}),
        "FLAC in live pieces, encoded here": (live(flac(PCM)), {"encoding": "flac", "codec": "flac"}),
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


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_happens(listen: Listen, service: Service, kind: str, tmp_path: Path) -> None:
    source, options = _source(kind, tmp_path)

    check(listen(source, **options))

    assert [each.config.resume_token for each in service.connections] == [""]


@pytest.mark.parametrize("kind", KINDS)
def test_connections_break(listen: Listen, service: Service, kind: str, tmp_path: Path) -> None:
    source, options = _source(kind, tmp_path)
    service.then(*(Break(chunks, GONE) for chunks in (0, 1, 3, 2, 5, 4)))

    check(listen(source, **options))

    assert len(service.connections) > 2


def test_raw_samples_go_on_with_the_chunks_that_are_not_committed(listen: Listen, service: Service) -> None:
    service.then(Break(12, GONE))
    pieces = cut(PCM)

    events, _ = listen(pieces, sample_rate=RATE)

    first, second = service.connections
    committed = 2 * RATE * 2  # 12 pieces of 7,001 bytes hold two seconds
    assert first.numbers == list(range(1, 13))
    assert first.config.resume_token == ""
    assert second.config.resume_token.startswith(f"{2 * RATE}:")
    assert second.numbers == list(range(committed // 7_001 + 1, len(pieces) + 1))
    assert second.sizes == [len(piece) for piece in pieces[committed // 7_001 :]]
    assert not second.config.audio_from_committed_offset
    assert second.config.config == first.config.config
    broken, resumed = (event for event in events if isinstance(event, Reconnecting | Resumed))
    assert (broken.attempt, broken.cause.message, resumed) == (1, "gone", Resumed(2.0))


def test_a_long_file_is_read_again_from_its_beginning(
    listen: Listen, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "READ_AHEAD", 64 * 1024)
    path = tmp_path / "long.flac"
    path.write_bytes(flac(noise(40)))
    service.then(Break(2, GONE), Break(3, GONE))

    _, result = listen(path)

    assert sum(service.connections[-1].sizes) == path.stat().st_size
    assert (result.summary.audio_received, result.summary.complete) == (40, True)


async def test_what_a_pipe_has_is_sent_at_once(service: Service) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb", buffering=0) as spoken_into:
        async with AsyncClient(service.target) as client:
            stream = client.stream(source, encoding="linear16", sample_rate=RATE, interim_results=False)
            spoken_into.write(PCM[: RATE * 2])  # less than a buffer
            event = await anext(stream)
            while not isinstance(event, Final):
                event = await anext(stream)
            spoken_into.close()
            rest = await all_of(stream)

    assert event.text == "w1"
    assert not [each for each in rest if isinstance(each, Final)]


def test_what_is_encoded_here_begins_anew_with_the_committed_sample(listen: Listen, service: Service) -> None:
    service.then(Break(23, GONE))

    check(listen(cut(PCM), sample_rate=RATE, codec="flac"))

    first, second = service.connections
    explicit = first.config.config.explicit_decoding_config
    assert explicit.encoding == explicit.AUDIO_ENCODING_FLAC
    assert second.config.audio_from_committed_offset
    assert second.numbers[0] == 1
    assert sum(second.sizes) < sum(len(piece) for piece in cut(PCM)) / 2


def test_a_file_with_a_header_is_sent_whole_again(listen: Listen, service: Service, tmp_path: Path) -> None:
    service.then(Break(1, GONE))
    source, _ = _source("FLAC", tmp_path)

    check(listen(source))

    assert [each.numbers[0] for each in service.connections] == [1, 1]
    assert sum(service.connections[1].sizes) == Path(source).stat().st_size
    assert not service.connections[1].config.audio_from_committed_offset


def test_opus_is_encoded_here(listen: Listen, service: Service) -> None:
    service.then(Break(15, GONE))

    events, result = listen(cut(PCM), sample_rate=RATE, codec="opus:16k")

    assert len([event for event in events if isinstance(event, Final)]) == SECONDS
    assert result.summary.audio_received == pytest.approx(SECONDS, abs=0.01)
    explicit = service.connections[0].config.config.explicit_decoding_config
    assert explicit.encoding == explicit.AUDIO_ENCODING_OGG_OPUS
    assert sum(service.connections[0].sizes) * 8 < 3 * 24_000


def test_the_source_s_own_error_is_raised(listen: Listen, service: Service) -> None:
    def broken() -> Iterator[bytes]:
        yield PCM[:40_000]
        raise ZeroDivisionError("of the source")

    with pytest.raises(ZeroDivisionError, match="of the source"):
        listen(broken(), sample_rate=RATE)


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("no/such/file.wav", {}, errors.NotFoundError, "there is no file"),
        (42, {}, errors.InvalidArgumentError, "audio cannot be read from int"),
        ([b"abc"], {}, errors.InvalidArgumentError, "state sample_rate"),
        (["abc"], RAW, errors.InvalidArgumentError, "must be bytes, not str"),
        ([b"abc"], RAW | {"codec": "mp3"}, errors.InvalidArgumentError, "there is no codec 'mp3'"),
        ([b"abc"], RAW | {"codec": "opus:fast"}, errors.InvalidArgumentError, "no bit rate"),
        (b"no audio at all" * 100, {"codec": "flac"}, errors.InvalidArgumentError, "cannot be decoded"),
        ([b"abc"], RAW | {"give_up_after": 0}, errors.InvalidArgumentError, "above 0"),
        ([b"abc"], RAW | {"colour": "red"}, TypeError, "unknown argument 'colour'"),
    ],
)
def test_what_is_refused_before_it_is_sent(
    listen: Listen, source: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        listen(source, **options)


def test_nothing_to_hear(listen: Listen, service: Service) -> None:
    events, result = listen([], sample_rate=RATE)

    assert (events, result.text, result.summary.complete) == ([], "", True)

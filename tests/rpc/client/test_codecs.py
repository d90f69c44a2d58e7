"""Clips that are encoded before they are sent: what goes over the wire, and that nothing is lost by it."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earshot.client import AsyncClient, Client
from earshot.client.link import PADDING
from earshot.client.sources import Format
from earshot.client.streaming import transcoding
from earshot.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, OutOfRangeError
from earshot.gen.v1 import audio_pb2
from tests.rpc.client.conftest import Ask
from tests.rpc.client.scripted import Script, heard, heard_and_scored, speech_models
from tests.unit.audio.making import encoded

Encoding = audio_pb2.ExplicitDecodingConfig.AudioEncoding
RATE = 16_000
RAW: dict[str, Any] = {"sample_rate": RATE}


def _samples(seconds: float = 4.0) -> np.ndarray:
    """A tone with a little noise, so that FLAC has something to keep."""
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(1).normal(0, 100, len(times))
    return (np.sin(times * 2 * np.pi * 440) * 8_000 + noise).astype("<i2")


def _wav(folder: Path, seconds: float = 4.0) -> Path:
    path = folder / "clip.wav"
    path.write_bytes(encoded("wav", "pcm_s16le", _samples(seconds) / 32767, RATE))
    return path


def _decoded(content: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(transcoding.decode(io.BytesIO(content), Format())), dtype="<i2")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(lambda folder: (_wav(folder), {}), id="a file"),
        pytest.param(lambda folder: (_wav(folder).read_bytes(), {}), id="a file's bytes"),
        pytest.param(lambda folder: (_samples(), RAW), id="an array"),
        pytest.param(lambda folder: ([_samples().tobytes()], RAW), id="pieces"),
        pytest.param(lambda folder: (io.BytesIO(_wav(folder).read_bytes()), {}), id="a file object"),
    ],
)
def test_flac_is_the_same_to_the_sample(ask: Ask, script: Script, tmp_path: Path, source: Any) -> None:
    script.always = heard()
    given, options = source(tmp_path)

    ask("recognize", given, codec="flac", **options)

    request = script.calls[0].request
    assert request.config.explicit_decoding_config.encoding == Encoding.AUDIO_ENCODING_FLAC
    assert np.abs(_decoded(request.content).astype(int) - _samples()).max() <= 1  # of making the WAV file


def test_opus_is_a_small_part(ask: Ask, script: Script, tmp_path: Path) -> None:
    script.always = heard_and_scored("hello", {"a": 1.0})

    ask("classify_speech", _wav(tmp_path), ["a"], codec="opus:24k")

    request = script.calls[0].request
    explicit = request.recognition_config.explicit_decoding_config
    assert explicit.encoding == Encoding.AUDIO_ENCODING_OGG_OPUS
    assert len(request.content) < 0.2 * _samples().nbytes
    assert len(_decoded(request.content)) == pytest.approx(len(_samples()), abs=16)


async def test_pieces_that_come_by_themselves_are_encoded_too(script: Script) -> None:
    script.always = heard()

    async def pieces() -> AsyncIterator[bytes]:
        yield _samples().tobytes()

    async with AsyncClient(script.target) as client:
        await client.recognize(pieces(), sample_rate=RATE, codec="flac")

    assert _decoded(script.calls[0].request.content).tobytes() == _samples().tobytes()


def test_what_would_not_fit_as_it_is_fits_as_opus(script: Script, tmp_path: Path) -> None:
    script.always = heard()

    with Client(script.target, max_message_bytes=40_000) as client:
        with pytest.raises(OutOfRangeError):
            client.recognize(_wav(tmp_path))
        client.recognize(_wav(tmp_path), codec="opus")
        with pytest.raises(OutOfRangeError):
            client.recognize(_wav(tmp_path, 60.0), codec="opus")


@pytest.mark.parametrize(
    ("limit", "encoding"),
    [
        (130_000, Encoding.AUDIO_ENCODING_UNSPECIFIED),
        (120_000, Encoding.AUDIO_ENCODING_FLAC),
        (40_000, Encoding.AUDIO_ENCODING_OGG_OPUS),
    ],
)
def test_auto_sends_what_fits(script: Script, tmp_path: Path, limit: int, encoding: int) -> None:
    script.always = heard()

    with Client(script.target, max_message_bytes=limit) as client:
        client._link.took(0.0, 0.0)  # nothing is worth encoding for the link's sake
        client.recognize(_wav(tmp_path), codec="auto")

    (call,) = script.calls
    assert call.request.config.explicit_decoding_config.encoding == encoding


def test_auto_says_what_is_too_large_for_any(script: Script, tmp_path: Path) -> None:
    with Client(script.target, max_message_bytes=1000) as client, pytest.raises(OutOfRangeError):
        client.recognize(_wav(tmp_path), codec="auto")

    assert script.calls == []


@pytest.mark.parametrize(
    ("source", "codec", "error"),
    [
        (b"no audio at all" * 100, "flac", InvalidArgumentError),
        ("nowhere.wav", "flac", NotFoundError),
        (b"RIFF", "mp3", InvalidArgumentError),
    ],
)
def test_what_cannot_be_encoded(
    ask: Ask, script: Script, source: Any, codec: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask("recognize", source, codec=codec)

    assert script.calls == []


def test_a_codec_that_is_named_needs_the_library(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(FailedPreconditionError, match=r"pip install '\.\[codecs\]'"):
        ask("recognize", _wav(tmp_path), codec="opus")


def _probes(script: Script) -> list[int]:
    return [call.request.ByteSize() for call in script.calls if call.method == "SpeechToText.ListModels"]


def test_auto_measures_the_link_once(script: Script, tmp_path: Path) -> None:
    script.then(*[speech_models()] * 3)
    script.always = heard()

    with Client(script.target) as client:
        client.recognize(_wav(tmp_path), codec="auto")
        client.recognize(_wav(tmp_path), codec="auto")

    bare, again, long = _probes(script)
    assert (bare, again) == (0, 0)
    assert PADDING < long < PADDING + 8
    assert [call.method for call in script.calls[3:]] == ["Recognize"] * 2


async def test_auto_measures_once_for_calls_that_go_together(script: Script, tmp_path: Path) -> None:
    script.then(*[speech_models()] * 3)
    script.always = heard()

    async with AsyncClient(script.target) as client:
        await asyncio.gather(*(client.recognize(_wav(tmp_path), codec="auto") for _ in range(4)))

    assert len(_probes(script)) == 3


@pytest.mark.parametrize(
    ("rate", "encoding"),
    [
        (1e9, Encoding.AUDIO_ENCODING_UNSPECIFIED),
        (5e5, Encoding.AUDIO_ENCODING_FLAC),
        (1e4, Encoding.AUDIO_ENCODING_OGG_OPUS),
    ],
)
def test_auto_sends_what_the_link_calls_for(
    script: Script, tmp_path: Path, rate: float, encoding: int
) -> None:
    script.always = heard()

    with Client(script.target) as client:
        client._link.took(0.0, PADDING / rate)
        client.recognize(_wav(tmp_path), codec="auto")

    (call,) = script.calls
    assert call.request.config.explicit_decoding_config.encoding == encoding


@pytest.mark.parametrize("content", [b"short", b"ID3" + bytes(100_000)])
def test_auto_leaves_alone_what_is_small_or_lossy_and_measures_nothing(
    ask: Ask, script: Script, content: bytes
) -> None:
    script.always = heard()

    ask("recognize", content, codec="auto")

    (call,) = script.calls
    assert call.request.content == content


def test_auto_never_fails_for_want_of_a_measurement(ask: Ask, script: Script, tmp_path: Path) -> None:
    script.then(InvalidArgumentError("no", field="x"), heard())

    ask("recognize", _wav(tmp_path), codec="auto")

    assert script.calls[-1].request.content == _wav(tmp_path).read_bytes()


def test_auto_never_fails_for_want_of_the_library(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.always = heard()
    path = _wav(tmp_path)
    monkeypatch.setitem(sys.modules, "av", None)

    with Client(script.target) as client:
        client._link.took(0.0, 10.0)
        client.recognize(path, codec="auto")

    assert script.calls[-1].request.content == path.read_bytes()

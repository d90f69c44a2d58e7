"""Encoding and decoding in the client: nothing lost, little kept back; clear words without the library."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from earshot.client import Encoding
from earshot.client.sources import Format
from earshot.client.streaming import transcoding
from earshot.errors import FailedPreconditionError, InvalidArgumentError

RATE = 16_000
STEP = 3_200  # bytes: 100 ms


def _tone(seconds: float, rate: int = RATE) -> bytes:
    times = np.arange(round(seconds * rate)) / rate
    return bytes((np.sin(times * 2 * np.pi * 440) * 8_000).astype("<i2").tobytes())


def _encoded(name: str, samples: bytes, step: int = STEP) -> list[bytes]:
    encoder = transcoding.codec(name).new()
    pieces = [encoder.encode(samples[at : at + step]) for at in range(0, len(samples), step)]
    return [*pieces, encoder.finish()]


def _decoded(content: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(transcoding.decode(io.BytesIO(content), Format())), dtype="<i2")


@pytest.mark.parametrize("step", [STEP, 640, 34])
def test_flac_is_the_same_to_the_sample(step: int) -> None:
    samples = _tone(1.234)

    assert _decoded(b"".join(_encoded("flac", samples, step))).tobytes() == samples


def test_opus_has_the_same_length_and_tone() -> None:
    samples = _tone(2.0)

    heard = _decoded(b"".join(_encoded("opus:24k", samples)))

    assert len(heard) == pytest.approx(2 * RATE, abs=16)
    spectrum = np.abs(np.fft.rfft(heard[:RATE]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("name", ["flac", "opus"])
def test_no_more_than_a_few_pieces_wait_in_the_encoder(name: str) -> None:
    pieces = _encoded(name, _tone(3.0))[:-1]

    assert all(any(pieces[at : at + 3]) for at in range(1, len(pieces) - 3))


def test_the_bit_rate_is_what_was_asked_for() -> None:
    noise = np.random.default_rng(1).integers(-8_000, 8_000, 4 * RATE, dtype="<i2").tobytes()

    small, large = (sum(map(len, _encoded(f"opus:{rate}k", noise))) * 8 / 4_000 for rate in (12, 48))

    assert 8 < small < 18
    assert 36 < large < 60


@pytest.mark.parametrize("name", ["mp3", "", "flac:16k", "opus:1k", "opus:300k", "opus:x", "opus:-8k"])
def test_no_such_codec(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="opus"):
        transcoding.codec(name)


def _known(name: str) -> bool:
    """Whether the words about codecs have it."""
    rate = re.fullmatch(r"opus:(\d{1,6})(k?)", name)
    if rate is None:
        return name.removesuffix(":") in ("opus", "flac")
    return 6_000 <= int(rate[1]) * (1000 if rate[2] else 1) <= 256_000


names = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"(opus|flac):?[0-9]{0,7}k?", fullmatch=True),
    st.builds("opus:{}{}".format, st.integers(0, 300_000), st.sampled_from(["", "k"])),
)


@given(names, st.booleans())
@example("opus:" + "9" * 5_000, False)  # more than int() takes
def test_a_name_is_a_codec_or_refused(name: str, live: bool) -> None:
    if not _known(name):
        with pytest.raises(InvalidArgumentError) as caught:
            transcoding.codec(name, live=live)
        assert (caught.value.reason, caught.value.field) == ("NO_SUCH_CODEC", "codec")
        return
    made = transcoding.codec(name, live=live)
    assert made.encoding is (Encoding.FLAC if name.startswith("flac") else Encoding.OGG_OPUS)
    assert made.bit_rate is None or 6_000 <= made.bit_rate <= 256_000


@given(st.integers(6_000, 256_000))
@settings(max_examples=15, deadline=None)
def test_each_bit_rate_that_is_taken_can_be_had(rate: int) -> None:
    assert len(_decoded(b"".join(_encoded(f"opus:{rate}", _tone(0.2))))) > 0


@pytest.mark.parametrize(
    ("form", "samples"),
    [
        (Format(Encoding.LINEAR16, 8_000, 1), _tone(1.0, 8_000)),
        (Format(Encoding.LINEAR16, 48_000, 2), _tone(2.0, 48_000)),
        (Format(Encoding.LINEAR32F, 16_000, 0), bytes(64_000)),
        (Format(Encoding.MULAW, 8_000, 1), bytes([0xFF]) * 8_000),
        (Format(Encoding.ALAW, 8_000, 1), bytes([0xD5]) * 8_000),
    ],
)
def test_raw_samples_of_all_kinds(form: Format, samples: bytes) -> None:
    pieces = iter([samples[at : at + 999] for at in range(0, len(samples), 999)])

    assert sum(map(len, transcoding.decode(pieces, form))) == pytest.approx(2 * RATE, abs=64)


def test_a_file_is_decoded_as_it_comes() -> None:
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for piece in _encoded("flac", _tone(60.0)):
            taken += 1
            yield piece

    next(transcoding.decode(pieces(), Format()))

    assert taken < 300


def test_no_audio() -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be decoded"):
        list(transcoding.decode(io.BytesIO(b"no audio at all" * 100), Format()))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(FailedPreconditionError, match=r"pip install '\.\[codecs\]'"):
        transcoding.codec("flac").new()

"""How much audio a request may hold, and that the limits are noticed while decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from earshot.audio.decoding import decode
from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import AudioLimits
from earshot.errors import InvalidArgumentError, OutOfRangeError
from tests.unit.audio.making import AUTO, encoded, heard, s16, tone, wav

TEN_MINUTES_SILENT = encoded("flac", "flac", np.zeros(600 * 8_000), 8_000)


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.0, 0), (60.0, 0), (3_600.0, 70_800), (3_600.0, 10**8), (65.0, 100)]
)
def test_within(seconds: float, size: int) -> None:
    AudioLimits().check(seconds, size)


@pytest.mark.parametrize(
    ("seconds", "size", "reason", "says"),
    [
        (60.1, 0, "AUDIO_EXPANDS_TOO_MUCH", "0 bytes decode to more than 60 s"),
        (65.1, 100, "AUDIO_EXPANDS_TOO_MUCH", "100 bytes decode to more than 65 s"),
        (9_999.0, 100, "AUDIO_EXPANDS_TOO_MUCH", "100 bytes"),
        (3_600.1, 10**8, "AUDIO_TOO_LONG", "longer than 3600 s"),
    ],
)
def test_beyond(seconds: float, size: int, reason: str, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        AudioLimits().check(seconds, size)
    assert (raised.value.reason, raised.value.field) == (reason, "content")
    assert isinstance(raised.value, OutOfRangeError) == (reason == "AUDIO_TOO_LONG")


def seconds_until_refused(data: bytes, stated: AudioFormat, limits: AudioLimits) -> tuple[float, str]:
    """What came out before the refusal, and its reason."""
    blocks: list[NDArray[np.int16]] = []
    with pytest.raises(InvalidArgumentError) as raised:
        decode(data, stated, limits, blocks.append)
    return sum(block.size for block in blocks) / 16_000, raised.value.reason


def test_hours_in_a_few_bytes_stop_early() -> None:
    decoded, reason = seconds_until_refused(TEN_MINUTES_SILENT, AUTO, AudioLimits(seconds_per_byte=1e-5))
    assert (decoded, reason) == (61.0, "AUDIO_EXPANDS_TOO_MUCH")


def test_long_audio_stops_at_the_limit() -> None:
    decoded, reason = seconds_until_refused(TEN_MINUTES_SILENT, AUTO, AudioLimits(30.0, 600.0))
    assert (decoded, reason) == (30.0, "AUDIO_TOO_LONG")


def test_exactly_the_limit_is_not_too_long() -> None:
    assert heard(TEN_MINUTES_SILENT, limits=AudioLimits(600.0, 600.0)).size == 600 * 16_000


@pytest.mark.parametrize(
    ("data", "stated"),
    [
        (wav(s16(tone(440, seconds=3.0))), AUTO),
        (s16(tone(440, seconds=3.0)), AudioFormat(Encoding.LINEAR16, 16_000)),
        (bytes(24_000), AudioFormat(Encoding.MULAW, 8_000)),
        (encoded("aiff", "pcm_s16be", tone(440, seconds=3.0), 16_000), AUTO),
        (encoded("ogg", "libopus", tone(440, 48_000, 4.0), 48_000), AUTO),
    ],
    ids=["wav", "linear16", "mulaw", "aiff", "ogg"],
)
def test_what_is_sure_beforehand_is_never_decoded(data: bytes, stated: AudioFormat) -> None:
    assert seconds_until_refused(data, stated, AudioLimits(2.0)) == (0.0, "AUDIO_TOO_LONG")


@pytest.mark.parametrize("stated", [0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
def test_a_header_that_cannot_count_does_not_count(stated: int) -> None:
    """As they are written to a pipe."""
    samples = heard(wav(s16(tone(440)), stated=stated), limits=AudioLimits(1.5))
    assert samples.size == 16_000


def test_three_seconds_of_silence_in_220_bytes_are_welcome(shared: Path) -> None:
    data = (shared / "data/speech/nonspeech/silence-3s.flac").read_bytes()
    assert len(data) == 220
    assert heard(data).size == 48_000

"""Streams that cannot be decoded: the reason, the field, and that it is said in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import LiveLimits
from earshot.audio.live import LiveDecoder
from earshot.errors import InvalidArgumentError
from tests.unit.audio.making import AUTO, encoded, float_wav, s16, silent_film, tone, wav
from tests.unit.audio.streaming import SEEDS, cut, streamed

SOUND = s16(tone(440))
NOISE = np.random.default_rng(5).bytes(400_000)
M4A = encoded("mp4", "aac", tone(440), 16_000)
RAW = AudioFormat(Encoding.LINEAR16, 16_000)
BROKEN = tone(440)
BROKEN[8_000] = np.nan
HOUR = encoded("flac", "flac", np.zeros(16_000 * 600), 16_000)


class Counted(Iterator[bytes]):
    """Pieces, and how many bytes of them have been taken."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self.size = pieces, 0

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        self.size += len(piece)
        return piece


def refused(data: bytes, stated: AudioFormat = AUTO, size: int = 1_000) -> tuple[InvalidArgumentError, int]:
    """The error of a stream, and how many bytes it had until then."""
    pieces = Counted(cut(data, size))
    with pytest.raises(InvalidArgumentError) as caught:
        streamed(pieces, stated)
    return caught.value, pieces.size


@pytest.mark.parametrize(
    ("data", "stated", "reason", "says"),
    [
        (wav(b""), AUTO, "AUDIO_EMPTY", "no sound that can be decoded"),
        (wav(SOUND)[:30], AUTO, "AUDIO_DAMAGED", "starts as a WAV file, but is cut short"),
        (SEEDS["opus"][:60], AUTO, "AUDIO_DAMAGED", "starts as an Ogg file, but is cut short"),
        (b"ID3\x04\x00\x00\x00\x00\x10\x00" + bytes(900), AUTO, "AUDIO_EMPTY", "no sound"),
        (b"\x00", AUTO, "AUDIO_NOT_RECOGNIZED", "no audio format that is known"),
        (b"this is no recording", AUTO, "AUDIO_NOT_RECOGNIZED", "looks like text"),
        (b"<!doctype html>" + b" " * 5_000, AUTO, "AUDIO_NOT_RECOGNIZED", "looks like HTML"),
        (NOISE, AUTO, "AUDIO_NOT_RECOGNIZED", "no audio format that is known"),
        (SOUND, AUTO, "AUDIO_NOT_RECOGNIZED", "explicit_decoding_config"),
        (M4A, AUTO, "AUDIO_NOT_STREAMABLE", "index of the MP4 comes after its audio"),
        (silent_film(), AUTO, "AUDIO_NOT_STREAMABLE", "faststart"),
        (wav(SOUND, rate=1), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 1 Hz"),
        (wav(SOUND, channels=0), AUTO, "AUDIO_BAD_CHANNEL_COUNT", "states 0 channels"),
        (float_wav(BROKEN), AUTO, "AUDIO_NOT_FINITE", "NaN"),
        (BROKEN.astype("<f4").tobytes(), AudioFormat(Encoding.LINEAR32F, 8_000), "AUDIO_NOT_FINITE", "NaN"),
        (SOUND[:-1], RAW, "AUDIO_PARTIAL_SAMPLE", "31999 bytes are no whole number of LINEAR16"),
        (SOUND[:1], RAW, "AUDIO_PARTIAL_SAMPLE", "1 bytes"),
        (wav(SOUND), RAW, "AUDIO_ENCODING_MISMATCH", "content is a WAV file, not raw LINEAR16"),
        (SEEDS["opus"], AudioFormat(Encoding.FLAC), "AUDIO_ENCODING_MISMATCH", "is Ogg (opus), not FLAC"),
        (wav(SOUND), AudioFormat(Encoding.FLAC), "AUDIO_ENCODING_MISMATCH", "is WAV (pcm_s16le), not FLAC"),
        (encoded("wv", "wavpack", tone(440), 16_000), AUTO, "AUDIO_NOT_RECOGNIZED", "no audio format"),
        (SEEDS["opus"] + SEEDS["webm"], AUTO, "AUDIO_FORMAT_CHANGED", "another format"),
        (SEEDS["webm"] + SEEDS["opus"], AUTO, "AUDIO_FORMAT_CHANGED", "another format"),
        (SEEDS["wav"] + SEEDS["opus"], AUTO, "AUDIO_FORMAT_CHANGED", "another format"),
        (SEEDS["mp3"] + SEEDS["flac"], AUTO, "AUDIO_FORMAT_CHANGED", "another format"),
        (SEEDS["wav"] + NOISE, AUTO, "AUDIO_FORMAT_CHANGED", "bytes follow the samples"),
        (SEEDS["opus"] + NOISE, AUTO, "AUDIO_DAMAGED", "hold no audio"),
        (SEEDS["webm"] + bytes(400_000), AUTO, "AUDIO_DAMAGED", "hold no audio"),
        (SEEDS["flac"] + bytes(400_000), AUTO, "AUDIO_DAMAGED", "hold no audio"),
    ],
)
def test_one_mistake_each(data: bytes, stated: AudioFormat, reason: str, says: str) -> None:
    error, _ = refused(data, stated)
    assert (error.reason, error.field) == (reason, "audio.content")
    assert says in error.message


@pytest.mark.parametrize(
    ("stated", "reason", "field"),
    [
        (AudioFormat(Encoding.WAV, 8_000), "SAMPLE_RATE_MISMATCH", "sample_rate_hertz"),
        (AudioFormat(Encoding.WAV, 16_000, 2), "CHANNEL_COUNT_MISMATCH", "audio_channel_count"),
    ],
)
def test_a_config_that_the_header_contradicts(stated: AudioFormat, reason: str, field: str) -> None:
    error, _ = refused(SEEDS["wav"], stated)
    assert (error.reason, error.field) == (reason, f"config.explicit_decoding_config.{field}")


def test_a_config_that_can_never_be_right() -> None:
    with pytest.raises(InvalidArgumentError, match="state it") as caught:
        LiveDecoder(AudioFormat(Encoding.LINEAR16), LiveLimits(), field="streaming_config.config")
    assert caught.value.field == "streaming_config.config.explicit_decoding_config.sample_rate_hertz"


@pytest.mark.parametrize("data", [NOISE, bytes(400_000), b"\xff" * 400_000, SOUND * 10], ids=range(4))
def test_garbage_is_refused_before_it_is_long(data: bytes) -> None:
    error, pushed = refused(data)
    assert error.reason == "AUDIO_NOT_RECOGNIZED"
    assert pushed <= 66_560


def test_an_index_that_comes_last_is_refused_before_the_end() -> None:
    _, pushed = refused(M4A, size=100)
    assert pushed <= 200


def test_damage_to_most_packets_ends_the_stream() -> None:
    sound = bytearray(encoded("adts", "aac", tone(440, seconds=60.0), 16_000))
    rng, at = np.random.default_rng(2), len(sound) // 4
    while at < len(sound):  # all but the headers
        size = (sound[at + 3] & 3) << 11 | sound[at + 4] << 3 | sound[at + 5] >> 5
        if sound[at] != 0xFF or sound[at + 1] & 0xF6 != 0xF0 or size < 8:
            at += 1
            continue
        sound[at + 7 : at + size] = rng.bytes(size - 7)
        at += size
    error, pushed = refused(bytes(sound), size=500)
    assert error.reason == "AUDIO_DAMAGED"
    assert "no more than half" in error.message
    assert pushed < len(sound)


def test_a_few_bytes_must_not_become_minutes() -> None:
    limits = LiveLimits(free_seconds=10.0, seconds_per_byte=0.001)
    with pytest.raises(InvalidArgumentError, match="minutes of audio") as caught:
        streamed(cut(HOUR, 4_000), limits=limits)
    assert (caught.value.reason, caught.value.field) == ("AUDIO_EXPANDS_TOO_MUCH", "audio.content")
    assert streamed(cut(HOUR, 4_000)).size == 16_000 * 600


def test_bytes_of_long_ago_pay_for_nothing() -> None:
    limits = LiveLimits(free_seconds=10.0, seconds_per_byte=0.001)
    loud = encoded("flac", "flac", np.random.default_rng(1).uniform(-1, 1, 16_000 * 20), 16_000)
    with pytest.raises(InvalidArgumentError, match="minutes of audio"):
        streamed(cut(loud + HOUR, 4_000), limits=limits)


def test_specks_of_recordings_are_refused() -> None:
    speck = wav(SOUND[:2])
    error, _ = refused(speck * 100)
    assert error.reason == "AUDIO_TOO_COMPLEX"


def test_an_error_is_told_again() -> None:
    with closing(LiveDecoder(AUTO, LiveLimits())) as decoder:
        for _ in range(2):
            with pytest.raises(InvalidArgumentError, match="in no audio format"):
                decoder.push(NOISE)

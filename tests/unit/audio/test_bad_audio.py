"""One bad file for each mistake: its reason, its field, and what the message says."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from earshot.audio.formats import AudioFormat, Encoding
from earshot.errors import InvalidArgumentError
from tests.unit.audio.making import (
    AUTO,
    caf,
    encoded,
    float_wav,
    heard,
    s16,
    silent_film,
    tone,
    wav,
)

SOUND = s16(tone(440))
OPUS = encoded("ogg", "libopus", tone(440, 48_000), 48_000)
M4A = encoded("mp4", "aac", tone(440), 16_000)
LONG_FLAC = encoded("flac", "flac", tone(440, seconds=4.0), 16_000)
LONG_AIFF = encoded("aiff", "pcm_s16be", tone(440, seconds=4.0), 16_000)
BROKEN_FLOAT = tone(440)
BROKEN_FLOAT[8_000] = np.nan
INFINITE = np.full(16_000, np.inf)
RAW = AudioFormat(Encoding.LINEAR16, 16_000)
NOISE = np.random.default_rng(5).bytes(20_000)


def wave64(channels: int) -> bytes:
    """A Wave64 file whose header states ``channels``."""
    file = bytearray(encoded("w64", "pcm_s16le", tone(440), 16_000))
    struct.pack_into("<H", file, file.index(b"fmt ") + 26, channels)
    return bytes(file)


@pytest.mark.parametrize(
    ("data", "stated", "reason", "says"),
    [
        (b"", AUTO, "AUDIO_EMPTY", "content is empty"),
        (b"", RAW, "AUDIO_EMPTY", "content is empty"),
        (wav(b""), AUTO, "AUDIO_EMPTY", "no sound that can be decoded"),
        (wav(SOUND[:100], rate=48_000), AUTO, "AUDIO_EMPTY", "less than 5 ms"),
        (wav(SOUND)[:30], AUTO, "AUDIO_DAMAGED", "starts as a WAV file, but is cut short"),
        (OPUS[:60], AUTO, "AUDIO_DAMAGED", "starts as an Ogg file, but is cut short"),
        (M4A[: len(M4A) // 2], AUTO, "AUDIO_DAMAGED", "starts as an MP4 or M4A file, but is cut short"),
        (wav(SOUND, stated=10**9), AUTO, "AUDIO_TRUNCATED", "counts 999968000 bytes more than there are"),
        (wav(SOUND)[:20_000], AUTO, "AUDIO_TRUNCATED", "send all of it"),
        (LONG_FLAC[: len(LONG_FLAC) // 2], AUTO, "AUDIO_TRUNCATED", "the header states 4.0 s"),
        (LONG_AIFF[: len(LONG_AIFF) // 2], AUTO, "AUDIO_TRUNCATED", "the header states 4.0 s"),
        (wav(b"\x01"), AUTO, "AUDIO_DAMAGED", "no more than half"),
        (wav(NOISE, bits=4, tag=2), AUTO, "AUDIO_DAMAGED", "no more than half"),
        (b"<!doctype html><title>Not found</title>", AUTO, "AUDIO_NOT_RECOGNIZED", "looks like HTML"),
        (b"this is no recording", AUTO, "AUDIO_NOT_RECOGNIZED", "looks like text"),
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3\x00", AUTO, "AUDIO_NOT_RECOGNIZED", "looks like a PDF document"),
        (NOISE, AUTO, "AUDIO_NOT_RECOGNIZED", "no audio format that is known"),
        (SOUND, AUTO, "AUDIO_NOT_RECOGNIZED", "explicit_decoding_config"),
        (
            encoded("wv", "wavpack", tone(440), 16_000),
            AUTO,
            "AUDIO_NOT_RECOGNIZED",
            "no audio format that is known",
        ),
        (b"\x00", AUTO, "AUDIO_NOT_RECOGNIZED", "no audio format that is known"),
        (wav(SOUND, rate=0), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 0 Hz"),
        (wav(SOUND, rate=1), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 1 Hz"),
        (wav(SOUND, rate=4_000_000_000), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 4000000000 Hz"),
        (encoded("au", "pcm_s16be", tone(440), 100), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 100 Hz"),
        (caf(tone(440), rate=0.0), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 0 Hz"),
        (caf(tone(440), rate=4e9), AUTO, "AUDIO_BAD_SAMPLE_RATE", "sample rate of 2147483647 Hz"),
        (caf(tone(440), channels=100), AUTO, "AUDIO_BAD_CHANNEL_COUNT", "states 100 channels"),
        (wave64(600), AUTO, "AUDIO_BAD_CHANNEL_COUNT", "states 0 channels"),
        (wav(SOUND, channels=0), AUTO, "AUDIO_BAD_CHANNEL_COUNT", "states 0 channels"),
        (wav(SOUND, channels=65_535), AUTO, "AUDIO_BAD_CHANNEL_COUNT", "states 65535 channels"),
        (wav(SOUND, tag=0x1234), AUTO, "AUDIO_CODEC_UNSUPPORTED", r"codec of the audio \(unknown\)"),
        (encoded("matroska", "wavpack", tone(440), 16_000), AUTO, "AUDIO_CODEC_UNSUPPORTED", r"\(wavpack\)"),
        (float_wav(BROKEN_FLOAT), AUTO, "AUDIO_NOT_FINITE", "NaN or Inf"),
        (float_wav(INFINITE), AUTO, "AUDIO_NOT_FINITE", "NaN or Inf"),
        (
            BROKEN_FLOAT.astype("<f4").tobytes(),
            AudioFormat(Encoding.LINEAR32F, 16_000),
            "AUDIO_NOT_FINITE",
            "NaN or Inf",
        ),
        (SOUND + b"\x01", RAW, "AUDIO_PARTIAL_SAMPLE", "32001 bytes are no whole number of LINEAR16 samples"),
        (SOUND, AudioFormat(Encoding.LINEAR16, 16_000, 3), "AUDIO_PARTIAL_SAMPLE", "of 6 bytes"),
        (silent_film(), AUTO, "AUDIO_STREAM_MISSING", "no stream of sound"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad(data: bytes, stated: AudioFormat, reason: str, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        heard(data, stated)
    assert (raised.value.reason, raised.value.field) == (reason, "content")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mono.empty.wav", "AUDIO_EMPTY"),
        ("mono.zero.wav", "AUDIO_EMPTY"),
        ("mono.invalid.wav", "AUDIO_DAMAGED"),
        ("awful.wav", "AUDIO_BAD_SAMPLE_RATE"),
    ],
)
def test_bad_ones_from_the_wild(shared: Path, name: str, reason: str) -> None:
    with pytest.raises(InvalidArgumentError) as raised:
        heard((shared / "data/speech/malformed" / name).read_bytes())
    assert (raised.value.reason, raised.value.field) == (reason, "content")

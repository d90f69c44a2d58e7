"""What is samples already is taken as it is, and is what the decoder would have made of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.audio import plain
from earshot.audio.formats import AudioFormat, Encoding
from earshot.audio.limits import AudioLimits
from tests.unit.audio.making import AUTO, LIMITS, encoded, heard, s16, tone, wav

RAW = AudioFormat(Encoding.LINEAR16, 16_000)
SAMPLES = s16(tone(440))

PLAIN = {
    "raw": (SAMPLES, RAW),
    "raw, one channel stated": (SAMPLES, AudioFormat(Encoding.LINEAR16, 16_000, 1)),
    "a WAV file": (wav(SAMPLES), AUTO),
    "a WAV file, stated": (wav(SAMPLES), AudioFormat(Encoding.WAV, 16_000, 1)),
    "one sample": (SAMPLES[:2], RAW),
}
NOT_PLAIN = {
    "nothing": (b"", RAW),
    "half a sample": (SAMPLES[:-1], RAW),
    "another rate": (SAMPLES, AudioFormat(Encoding.LINEAR16, 8_000)),
    "two channels": (SAMPLES, AudioFormat(Encoding.LINEAR16, 16_000, 2)),
    "another encoding": (SAMPLES, AudioFormat(Encoding.MULAW, 16_000)),
    "raw without a word": (SAMPLES, AUTO),
    "a file that is said to be raw": (wav(SAMPLES), RAW),
    "a FLAC file": (encoded("flac", "flac", tone(440), 16_000), AUTO),
    "a WAV file, said to be FLAC": (wav(SAMPLES), AudioFormat(Encoding.FLAC)),
    "a WAV file, said to be stereo": (wav(SAMPLES), AudioFormat(Encoding.WAV, 16_000, 2)),
    "a WAV file, said to be slower": (wav(SAMPLES), AudioFormat(Encoding.WAV, 8_000)),
    "a WAV file at another rate": (wav(SAMPLES, rate=8_000), AUTO),
    "a WAV file of two channels": (wav(SAMPLES, channels=2), AUTO),
    "a WAV file of 8 bits": (wav(SAMPLES, bits=8), AUTO),
    "a WAV file that is no PCM": (wav(SAMPLES, tag=6), AUTO),
    "a WAV file that is cut": (wav(SAMPLES)[:-2], AUTO),
    "a WAV file with more behind it": (wav(SAMPLES) + b"LIST\x00\x00\x00\x00", AUTO),
    "a WAV file by who could not count": (wav(SAMPLES, stated=0xFFFFFFFF), AUTO),
    "a header alone": (wav(b""), AUTO),
    "half a header": (wav(SAMPLES)[:20], AUTO),
}


@pytest.mark.parametrize(("content", "stated"), PLAIN.values(), ids=PLAIN)
def test_what_is_plain_is_what_the_decoder_makes_of_it(content: bytes, stated: AudioFormat) -> None:
    samples = plain.samples_in(content, stated, LIMITS)
    assert samples is not None
    decoded = heard(content, stated)
    assert np.array_equal(np.frombuffer(samples, np.int16), decoded)
    assert plain.seconds_of(samples) == decoded.size / 16_000


@pytest.mark.parametrize(("content", "stated"), NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_all_else_is_for_the_decoder(content: bytes, stated: AudioFormat) -> None:
    assert plain.samples_in(content, stated, LIMITS) is None


@pytest.mark.parametrize(
    "limits",
    [AudioLimits(max_seconds=0.5), AudioLimits(free_seconds=0.1, seconds_per_byte=1e-6)],
    ids=["too long", "too long for its bytes"],
)
def test_what_is_too_long_is_for_the_decoder_to_refuse(limits: AudioLimits) -> None:
    assert plain.samples_in(SAMPLES, RAW, limits) is None


@settings(deadline=None)
@given(samples=st.binary(min_size=1, max_size=4_000), in_wav=st.booleans())
def test_whatever_the_samples_are(samples: bytes, in_wav: bool) -> None:
    content, stated = (wav(samples), AUTO) if in_wav else (samples, RAW)
    found = plain.samples_in(content, stated, LIMITS)
    if found is not None:
        assert np.array_equal(np.frombuffer(found, np.int16), heard(content, stated))

"""Recordings that are what decoding would make of them already: nobody has to take them apart.

Knows neither ffmpeg nor NumPy. Looks at the first bytes and at the length; what is not surely plain is for
the decoder, which also says what is wrong with it.
"""

from __future__ import annotations

import struct
from typing import Final

from earshot.audio.formats import SAMPLE_BYTES, SAMPLE_RATE, AudioFormat, Encoding
from earshot.audio.limits import AudioLimits
from earshot.audio.sniffing import sound_likeness

_BYTES: Final = SAMPLE_BYTES[Encoding.LINEAR16]
_BYTES_PER_SECOND: Final = SAMPLE_RATE * _BYTES
_NONE: Final = memoryview(b"")
# RIFF, its size, WAVE; "fmt " and its size; PCM, channels, rate, bytes a second, bytes and bits of a sample;
# data and its size. Nothing between them, and nothing behind the samples.
_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


def samples_in(content: bytes, audio_format: AudioFormat, limits: AudioLimits) -> memoryview | None:
    """The s16 mono samples at 16 kHz in ``content``, where they lie there as such; None: decode it.

    They are raw, or in a WAV file with the usual header of 44 bytes. What the decoder would refuse is never
    plain.
    """
    samples = _candidate(memoryview(content), audio_format)
    is_whole = len(samples) > 0 and len(samples) % _BYTES == 0
    return samples if is_whole and limits.allow(seconds_of(samples), len(content)) else None


def seconds_of(samples: memoryview) -> float:
    """How long such samples last."""
    return len(samples) / _BYTES_PER_SECOND


def _candidate(content: memoryview, audio_format: AudioFormat) -> memoryview:
    """Samples by what is stated and by how ``content`` begins; empty where they are not plain."""
    if audio_format.channels not in (0, 1) or audio_format.sample_rate not in (0, SAMPLE_RATE):
        return _NONE
    if audio_format.encoding is Encoding.LINEAR16:
        return _NONE if sound_likeness(content) else content
    if audio_format.encoding in (None, Encoding.WAV):
        head, samples = content[: _HEADER.size], content[_HEADER.size :]
        return samples if head == _header(len(samples)) else _NONE
    return _NONE


def _header(size: int) -> bytes:
    """Of a WAV file with ``size`` bytes of samples."""
    form = (1, 1, SAMPLE_RATE, _BYTES_PER_SECOND, _BYTES, 8 * _BYTES)
    whole = _HEADER.size - 8 + size
    return _HEADER.pack(b"RIFF", whole, b"WAVE", b"fmt ", 16, *form, b"data", size)

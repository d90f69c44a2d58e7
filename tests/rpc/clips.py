"""Clips made here, so that a test can say what is in them."""

from __future__ import annotations

import io
import wave

import numpy as np


def noise(seconds: float, rate: int = 16_000) -> bytes:
    """Raw s16 samples, one channel."""
    generator = np.random.default_rng(7)
    return generator.integers(-8000, 8000, int(seconds * rate), dtype=np.int16).tobytes()


def wav(seconds: float, rate: int = 16_000) -> bytes:
    """A WAV file of noise."""
    return wav_of(noise(seconds, rate), rate)


def wav_of(samples: bytes, rate: int = 16_000) -> bytes:
    """A WAV file of raw s16 samples, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples)
    return file.getvalue()

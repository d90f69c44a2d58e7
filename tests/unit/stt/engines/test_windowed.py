"""What the Whisper engines give, whatever their libraries count in."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.stt import wire
from earshot.stt.engines.windowed import context, encoded_seconds, segment
from earshot.stt.types import Transcript


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_a_segment_crosses_to_the_front_process(kind: type[float]) -> None:
    """Numbers of NumPy's own would be refused by its encoder, in the engine's process."""
    words = [(" one", kind(0.25), kind(0.5), kind(0.75)), ("  ", kind(0.5), kind(0.5), kind(1))]
    made = segment(" one ", kind(0.25), kind(0.5), kind(-0.5), words)
    transcript = Transcript((made,), "en")
    assert wire.decode_transcript(wire.encode(transcript)) == transcript
    assert (made.text, made.start, made.end) == ("one", 0.25, 0.5)
    assert made.confidence == pytest.approx(0.6065, abs=1e-4)
    assert [(word.text, word.start, word.end, word.confidence) for word in made.words] == [
        ("one", 0.25, 0.5, 0.75)
    ]


@pytest.mark.parametrize(
    ("seconds", "least", "encoded"),
    [(0.5, 10, 10), (9.0, 10, 10), (9.01, 10, 11), (28.5, 10, 30), (29.9, 10, 30), (3, 2.5, 4), (1, 30, 30)],
)
def test_as_much_is_encoded_as_is_said_or_the_least(seconds: float, least: float, encoded: float) -> None:
    assert encoded_seconds(np.zeros(round(seconds * 16_000), np.float32), least) == encoded


@pytest.mark.parametrize(
    ("width", "asked", "least"), [(384, 0, 30), (128, 0, 10), (384, 8, 8), (128, 30, 30)]
)
def test_what_is_published_hears_30_s_unless_one_says_otherwise(
    width: int, asked: float, least: float
) -> None:
    assert context(width, asked) == least

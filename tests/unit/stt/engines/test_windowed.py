"""What the Whisper engines give, whatever their libraries count in."""

from __future__ import annotations

import numpy as np
import pytest

from earshot.stt import wire
from earshot.stt.engines.windowed import segment
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

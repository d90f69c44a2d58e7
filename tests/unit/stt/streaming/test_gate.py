"""What the detector is spared, and that no onset of speech is lost by it, be it ever so quiet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from earshot.stt.speech_segments import FRAME, NOTHING_HEARD, Carried, SpeechDetector
from earshot.stt.streaming import endpointing
from earshot.stt.streaming.endpointing import Endpointer
from earshot.stt.streaming.wire import Endpointing, Span
from earshot.stt.types import SAMPLE_RATE, Samples
from tests.unit.stt.engines.conftest import Spoken, digits

__all__ = ["digits"]  # a fixture
PIECE = 1600
LATE = 0.1  # seconds; what is kept from before a stretch, 0.3 s, is more


class Counting(SpeechDetector):
    """How many frames the network has seen."""

    frames = 0

    def advance(self, block: Samples, carried: Carried) -> tuple[np.ndarray, Carried]:
        self.frames += -(-len(block) // FRAME)
        return super().advance(block, carried)


class Ungated:
    """The network hears every frame."""

    def __init__(self, detector: SpeechDetector, release: float) -> None:
        self._detector, self._carried = detector, NOTHING_HEARD

    def probabilities(self, samples: Samples, start: int, end: int) -> list[float]:
        found, self._carried = self._detector.advance(samples[start:end], self._carried)
        return [float(one) for one in found]


@pytest.fixture(scope="module")
def detector() -> Counting:
    return Counting()


def _stretches(detector: Counting, samples: Samples) -> list[Span]:
    """What is found in ``samples``, which come 100 ms at a time; the frames that took are in ``detector``."""
    detector.frames = 0
    ears = Endpointer(detector, Endpointing(), 0, 0)
    found: list[Span] = []
    for at in range(0, len(samples), PIECE):
        ears.push(samples[at : at + PIECE])
        found += [span for span, _ in ears.spans()]
    return found + [span for span, _ in ears.spans(last=True)]


def _noise(level: float, seconds: float) -> Samples:
    """A quiet room, by its RMS."""
    made = np.random.default_rng(1).normal(0, level, round(seconds * SAMPLE_RATE))
    return np.rint(made).astype(np.int16)


def _with_long_pauses(samples: Samples, ends: list[int]) -> Samples:
    """Six seconds of silence in every other pause, for the gate to shut."""
    pieces = np.split(samples, ends[::2])
    return np.concatenate([part for piece in pieces for part in (piece, np.zeros(6 * SAMPLE_RATE, np.int16))])


@pytest.mark.parametrize(
    ("name", "decibels", "level"),
    [("theo", 0, 20.0), ("lucas", -30, 0.6), ("conversation2", -20, 20.0), ("george", -30, 6.0)],
)
def test_speech_is_found_where_the_network_alone_finds_it(  # noqa: PLR0917 - a table
    detector: Counting,
    digits: Callable[[str], Spoken],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    decibels: int,
    level: float,
) -> None:
    """Down to speech of which the loudest sample is a hundredth of full scale, and speech in noise."""
    loud = digits(f"{name}.flac").up_to(30).samples
    quiet = np.rint(loud * 10 ** (decibels / 20)).astype(np.int16)
    pauses = [span.end for span in _stretches(detector, loud)]
    spread = _with_long_pauses(quiet, pauses)
    audio = spread + _noise(level, len(spread) / SAMPLE_RATE)
    gated, looked_at = _stretches(detector, audio), detector.frames
    monkeypatch.setattr(endpointing, "GatedDetector", Ungated)
    alone = _stretches(detector, audio)

    assert looked_at < 0.8 * detector.frames
    assert len(alone) >= 3
    for span in alone:
        starts = [one.start for one in gated if one.start < span.end and one.end > span.start]
        assert starts, f"the stretch at {span.start / SAMPLE_RATE:.1f} s is lost"
        assert min(starts) - span.start <= LATE * SAMPLE_RATE


@pytest.mark.parametrize("level", [0.0, 0.4, 5.0, 50.0])
def test_in_silence_the_network_sees_next_to_nothing(detector: Counting, level: float) -> None:
    assert _stretches(detector, _noise(level, 60)) == []
    assert detector.frames < 60 * SAMPLE_RATE / FRAME / 3


def test_a_place_that_gets_louder_is_listened_to(detector: Counting) -> None:
    """Until the origin has moved on: there may be speech in it."""
    assert _stretches(detector, np.concatenate([_noise(5, 3), _noise(50, 3)])) == []
    assert detector.frames > 3 * SAMPLE_RATE / FRAME / 2

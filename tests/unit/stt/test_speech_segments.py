"""Where speech is, and how it is packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.stt.speech_segments import (
    FRAME,
    Segmentation,
    SpeechDetector,
    SpeechSegmenter,
    Window,
    divided,
    packed,
    padded,
    stretches,
)
from earshot.stt.types import SAMPLE_RATE, Samples
from tests.unit.stt.engines.conftest import samples_of

HOW = Segmentation()
SECOND = SAMPLE_RATE / FRAME  # frames


@pytest.fixture(scope="module")
def speaker(shared: Path) -> Samples:
    return samples_of(shared / "data" / "speech" / "clips" / "jfk.flac")  # 11 s


def test_the_detector_gives_what_its_source_gives(speaker: Samples) -> None:
    samples = np.concatenate([speaker] * 4)[: 40 * SAMPLE_RATE]  # more than one block, and a broken frame
    padded_up = np.pad(samples.astype(np.float32) / 32768, (0, FRAME - len(samples) % FRAME))
    expected = get_vad_model()(padded_up).ravel()[: -(-len(samples) // FRAME)]
    np.testing.assert_allclose(SpeechDetector().probabilities(samples), expected, atol=1e-5)


def test_the_detector_keeps_nothing(speaker: Samples) -> None:
    detector = SpeechDetector()
    first = detector.probabilities(speaker)
    detector.probabilities(speaker[::-1].copy())
    np.testing.assert_array_equal(detector.probabilities(speaker), first)


def test_speech_between_silences_is_found_on_the_clips_clock(speaker: Samples) -> None:
    silence = np.zeros(5 * SAMPLE_RATE, np.int16)
    windows = SpeechSegmenter().windows(np.concatenate([silence, speaker, silence, speaker]))
    assert len(windows) == 1  # 27 s: one window
    first, second = SpeechSegmenter(Segmentation(max_window=14)).windows(
        np.concatenate([silence, speaker, silence, speaker])
    )
    assert first.offset == pytest.approx(5.0, abs=0.5)
    assert first.end / SAMPLE_RATE == pytest.approx(16.0, abs=0.7)
    assert second.offset == pytest.approx(21.0, abs=0.5)


@pytest.mark.parametrize("samples", [0, 1, FRAME, 40 * SAMPLE_RATE])
def test_silence_of_any_length_has_no_speech(samples: int) -> None:
    assert SpeechSegmenter().windows(np.zeros(samples, np.int16)) == []


def curve(*parts: tuple[float, float]) -> np.ndarray:
    """Probabilities from (seconds, probability)."""
    return np.concatenate([np.full(round(seconds * SECOND), value, np.float32) for seconds, value in parts])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(1, 0.1), (1, 0.9), (1, 0.1)], [(1, 2)]),
        ([(1, 0.9)], [(0, 1)]),
        ([(1, 0.9), (0.3, 0.1), (1, 0.9)], [(0, 2.3)]),  # a short silence does not end it
        ([(1, 0.9), (0.7, 0.1), (1, 0.9)], [(0, 1), (1.7, 2.7)]),
        ([(1, 0.9), (2, 0.4), (1, 0.9)], [(0, 4)]),  # between the thresholds it goes on
        ([(1, 0.4), (1, 0.9)], [(1, 2)]),  # but does not start
        ([(1, 0.1), (0.05, 0.9), (1, 0.1)], []),  # a click
        ([(1, 0.1)], []),
    ],
)
def test_stretches(parts: list[tuple[float, float]], expected: list[tuple[float, float]]) -> None:
    found = [(one.start / SECOND, one.end / SECOND) for one in stretches(curve(*parts), HOW)]
    assert [time for pair in found for time in pair] == pytest.approx(
        [time for pair in expected for time in pair], abs=0.05
    )


def test_a_long_stretch_is_cut_where_speech_is_least_probable() -> None:
    probabilities = curve((8, 0.9), (0.1, 0.6), (5, 0.9))
    first, second = divided(Window(0, len(probabilities)), probabilities, round(10 * SECOND))
    assert first.end == second.start
    assert first.end / SECOND == pytest.approx(8.05, abs=0.1)


def test_neighbours_share_a_window_while_it_is_not_too_long() -> None:
    def at(start: float, end: float) -> Window:
        return Window(round(start * SECOND), round(end * SECOND))

    found = packed([at(0, 4), at(6, 9), at(9.5, 13), at(40, 41)], Segmentation(max_window=10))
    assert found == [at(0, 9), at(9.5, 13), at(40, 41)]


def test_silence_is_kept_around_speech_and_none_is_heard_twice() -> None:
    frames = [Window(100, 200), Window(204, 300), Window(400, 500)]
    windows = padded(frames, 501 * FRAME, HOW)
    assert windows[0].start == 100 * FRAME - round(HOW.before * SAMPLE_RATE)
    assert 200 * FRAME < windows[0].end < 204 * FRAME
    assert windows[0].end == windows[1].start  # four frames of silence, shared out
    assert windows[1].end == 300 * FRAME + round(HOW.after * SAMPLE_RATE)
    assert windows[2].end == 501 * FRAME


@settings(max_examples=200, deadline=None)
@given(
    runs=st.lists(st.tuples(st.integers(1, 900), st.sampled_from([0.0, 0.4, 0.6, 1.0])), max_size=12),
    longest=st.sampled_from([1.0, 5.0, 28.0]),
    cut=st.integers(0, FRAME - 1),
)
def test_windows_are_in_order_apart_and_not_too_long(
    runs: list[tuple[int, float]], longest: float, cut: int
) -> None:
    how = Segmentation(max_window=longest)
    probabilities = np.concatenate([np.zeros(0, np.float32), *(np.full(n, p, np.float32) for n, p in runs)])
    length = max(0, len(probabilities) * FRAME - cut)
    frames = round(longest * SECOND)
    pieces = [piece for one in stretches(probabilities, how) for piece in divided(one, probabilities, frames)]
    windows = padded(packed(pieces, how), length, how)
    edges = [edge for window in windows for edge in (window.start, window.end)]
    assert edges == sorted(edges)
    assert all(0 <= window.start < window.end <= length for window in windows)
    most = (longest + how.before + how.after) * SAMPLE_RATE + FRAME
    assert all(window.end - window.start <= most for window in windows)
    covered = np.zeros(length + FRAME, bool)
    for window in windows:
        covered[window.start : window.end] = True
    for piece in pieces:  # no frame of speech is lost
        assert covered[piece.start * FRAME : min(piece.end * FRAME, length)].all()

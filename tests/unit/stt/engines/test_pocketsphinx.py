"""The embedded engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pocketsphinx
import pytest

from earshot import errors
from earshot.stt.engines import pocketsphinx as ours
from earshot.stt.types import Engine, Feature, RecognitionOptions, Samples
from tests.unit.stt.engines.conftest import never

ALL = RecognitionOptions(word_offsets=True, word_confidence=True)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return ours.load("", {"device": "auto", "threads": "1"})


@pytest.fixture(scope="module")
def lobster(speech: Callable[[str], Samples]) -> Samples:
    return speech("clips/367-130732-0001.flac")  # 4 s


@pytest.fixture(scope="module")
def other(speech: Callable[[str], Samples]) -> Samples:
    return speech("clips/p226_003.flac")


def bare(samples: Samples) -> list[tuple[str, int, int]]:
    """What a new decoder makes of a clip."""
    decoder = pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    return [(one.word, one.start_frame, one.end_frame) for one in decoder.seg()]


def test_the_same_clip_gives_what_a_new_decoder_gives_whatever_came_before(
    engine: Engine, lobster: Samples, other: Samples
) -> None:
    first = engine.transcribe(lobster, ALL, never)
    second = engine.transcribe(other, ALL, never)
    assert engine.transcribe(lobster, ALL, never) == first
    assert engine.transcribe(other, ALL, never) == second
    for transcript, samples in ((first, lobster), (second, other)):
        spoken = [one for one in bare(samples) if one[0][0] not in "<[+"]
        words = [word for segment in transcript.segments for word in segment.words]
        assert transcript.text == " ".join(text.partition("(")[0] for text, _, _ in spoken)
        assert [word.start for word in words] == pytest.approx([start / 100 for _, start, _ in spoken])
        assert [word.end for word in words] == pytest.approx([(end + 1) / 100 for _, _, end in spoken])


def test_words_come_plain_and_in_order(engine: Engine, lobster: Samples) -> None:
    transcript = engine.transcribe(lobster, ALL, never)
    assert len(transcript.text.split()) > 5
    assert "crayfish" in transcript.text
    edges = [
        edge for segment in transcript.segments for word in segment.words for edge in (word.start, word.end)
    ]
    assert edges == sorted(edges)
    for segment in transcript.segments:
        assert segment.text == " ".join(word.text for word in segment.words)
        assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)
        for word in segment.words:
            assert word.text.replace("'", "").isalpha()
            assert word.confidence is not None
            assert 0 <= word.confidence <= 1
    assert all(s.words == () for s in engine.transcribe(lobster, RecognitionOptions(), never).segments)


def test_where_nobody_speaks_nothing_is_heard(engine: Engine, nonspeech: Samples) -> None:
    assert engine.transcribe(nonspeech, ALL, never).segments == ()


def test_long_clips_are_heard_in_windows_on_the_clips_clock(engine: Engine, lobster: Samples) -> None:
    alone = engine.transcribe(lobster, ALL, never).text.split()
    silence = np.zeros(60 * 16_000, np.int16)
    transcript = engine.transcribe(np.concatenate([lobster, silence, lobster]), ALL, never)
    seconds = len(lobster) / 16_000
    first = [one for one in transcript.segments if one.end < seconds]
    second = [one for one in transcript.segments if one.start > seconds + 60]
    assert [*first, *second] == list(transcript.segments)
    for part in (first, second):
        words = {word for one in part for word in one.text.split()}
        assert len(words & set(alone)) >= 5


def test_it_stops_once_nobody_waits(engine: Engine, lobster: Samples) -> None:
    with pytest.raises(errors.CancelledError):
        engine.transcribe(lobster, ALL, lambda: True)


def test_a_pause_ends_a_segment(engine: Engine, lobster: Samples) -> None:
    pause = np.zeros(2 * 16_000, np.int16)
    transcript = engine.transcribe(np.concatenate([lobster, pause, lobster]), ALL, never)
    gaps = [
        after.start - before.end
        for before, after in zip(transcript.segments, transcript.segments[1:], strict=False)
    ]
    assert max(gaps) > 1.5
    assert min(gaps) >= 0.6 - 1e-6


def test_what_it_says_of_itself(engine: Engine) -> None:
    info = engine.info
    assert (info.name, info.engine, info.languages) == ("pocketsphinx-en-us", "pocketsphinx", ("en",))
    assert set(info.features) == {Feature.WORD_TIME_OFFSETS, Feature.WORD_CONFIDENCE}
    assert info.version.startswith("5.")
    assert info.checksum == ""


def test_it_has_no_other_model() -> None:
    with pytest.raises(errors.InvalidArgumentError, match="pocketsphinx-en-us") as caught:
        ours.load("tiny.en", {})
    assert caught.value.field == "model"

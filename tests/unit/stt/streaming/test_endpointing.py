"""Where a stream is cut, and that this depends on its samples alone."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earshot.stt.speech_segments import FRAME
from earshot.stt.streaming.endpointing import GRID, OVERLAP
from earshot.stt.streaming.wire import Endpointing
from earshot.stt.types import SAMPLE_RATE, Samples
from tests.unit.stt.streaming.listening import HOW, Found, curve, endpointer, heard, seconds, spans

QUICK = Endpointing(end_silence=0.5, max_segment=4.0, pre_roll=0.2, post_roll=0.1)
FRAME_SECONDS = FRAME / SAMPLE_RATE


def _ranges(samples: Samples, how: Endpointing = HOW) -> list[tuple[float, float]]:
    found, _ = heard(endpointer(how), [samples])
    return [(seconds(span.start), seconds(span.end)) for span, _ in spans(found)]


def test_a_pause_that_lasts_ends_a_stretch() -> None:
    speech = curve((1, 0.1), (2, 0.9), (1, 0.1), (2, 0.9), (1, 0.1))
    first, second = _ranges(speech, QUICK)
    assert first == pytest.approx((0.8, 3.1), abs=FRAME_SECONDS)
    assert second == pytest.approx((3.8, 6.1), abs=2 * FRAME_SECONDS)


def test_a_short_pause_does_not() -> None:
    assert len(_ranges(curve((1, 0.9), (0.4, 0.1), (1, 0.9), (1, 0.1)), QUICK)) == 1


def test_between_the_thresholds_speech_goes_on_but_does_not_start() -> None:
    assert len(_ranges(curve((1, 0.9), (2, 0.4), (1, 0.9), (1, 0.1)), QUICK)) == 1
    assert _ranges(curve((3, 0.4), (1, 0.1)), QUICK) == []


@pytest.mark.parametrize("end_silence", [0.5, 5.0])
def test_a_click_is_no_speech(end_silence: float) -> None:
    """Also where the longest stretch would be over before the silence that ends it."""
    how = msgspec.structs.replace(QUICK, end_silence=end_silence, max_segment=2.0)
    found, events = heard(endpointer(how), [curve((1, 0.1), (0.064, 0.9), (7, 0.1))])
    assert spans(found) == []
    assert events == []


def test_clicks_that_never_stop_do_not_keep_their_audio() -> None:
    """One as soon as the one before it is over: no frame is left that is silence by itself."""
    ears = endpointer(msgspec.structs.replace(QUICK, end_silence=0.5))
    ears.push(curve(*((0.032, 0.9), (0.512, 0.0)) * 9))
    assert not list(ears.spans())
    assert seconds(ears.origin) > 3


def test_rolls_are_kept_where_there_is_room() -> None:
    how = Endpointing(end_silence=0.5, pre_roll=0.3, post_roll=0.5)
    (start, end), *_ = _ranges(curve((0.096, 0.1), (1, 0.9), (2, 0.1)), how)
    assert start == 0
    assert end == pytest.approx(1.6, abs=FRAME_SECONDS)


def test_the_samples_are_those_of_the_span() -> None:
    audio = curve((1, 0.1), (1, 0.8), (1, 0.1), (1, 0.9), (1, 0.1))
    found, _ = heard(endpointer(QUICK), [audio])
    assert len(spans(found)) == 2
    for span, samples in spans(found):
        assert samples == audio[span.start : span.end].tobytes()
        assert (span.keep_from, span.keep_to) == (span.start, span.end)
        assert not span.is_cut


def test_speech_without_a_pause_is_cut_where_it_is_least_probable() -> None:
    """In the second half; both sides hear beyond it, and words are kept once."""
    audio = curve((3, 0.9), (0.032, 0.6), (3, 0.9), (1, 0.1))
    found, _ = heard(endpointer(QUICK), [audio])
    (first, _), (second, _) = spans(found)
    assert seconds(first.keep_to) == pytest.approx(3.0 + FRAME_SECONDS / 2, abs=FRAME_SECONDS)
    assert seconds(first.end - first.keep_to) == pytest.approx(OVERLAP, abs=FRAME_SECONDS)
    assert seconds(second.keep_from - second.start) == pytest.approx(OVERLAP, abs=GRID / SAMPLE_RATE + 0.02)
    assert second.keep_from == first.keep_to
    assert first.is_cut
    assert second.is_cut


def test_no_stretch_is_longer_than_asked_for_but_for_the_overlap() -> None:
    found, _ = heard(endpointer(QUICK), [curve((30, 0.9), (1, 0.1))])
    lengths = [seconds(span.end - span.start) for span, _ in spans(found)]
    assert max(lengths) <= 4.0 + OVERLAP + 2 * FRAME_SECONDS
    kept = [(span.keep_from, span.keep_to) for span, _ in spans(found)]
    assert all(end == start for (_, end), (start, _) in pairwise(kept))
    assert kept[0][0] == 0


def test_in_silence_the_origin_follows_on_its_grid() -> None:
    ears = endpointer(HOW)
    moved = {0}
    for _ in range(600):
        ears.push(curve((0.1, 0.0)))
        assert not list(ears.spans())
        moved.add(ears.origin)
        assert seconds(ears.received - ears.origin) < 5
    assert len(moved) > 10
    assert not [origin for origin in moved if origin % GRID]


def test_speech_just_after_the_origin_moved_keeps_its_onset() -> None:
    (start, _), *_ = _ranges(curve((4.1, 0.0), (1, 0.9), (1, 0.0)))
    assert start == pytest.approx(4.1 - HOW.pre_roll, abs=FRAME_SECONDS)


def test_the_end_of_the_audio_ends_a_stretch() -> None:
    audio = np.concatenate([curve((1, 0.9)), np.full(100, 900, np.int16)])
    found, _ = heard(endpointer(), [audio])
    (span, samples), *_ = spans(found)
    assert span.end == len(audio)
    assert samples == audio.tobytes()
    assert found[-1].origin == len(audio)


def test_no_span_goes_beyond_the_audio() -> None:
    """The silence that ends the stretch may be over within the last frame."""
    how = msgspec.structs.replace(QUICK, end_silence=0.48, post_roll=0.48)
    for rest in (1, 100, 511):
        audio = np.concatenate([curve((0.96, 0.9), (0.448, 0.1)), np.zeros(rest, np.int16)])
        found, _ = heard(endpointer(how), [audio])
        assert max(span.end for span, _ in spans(found)) <= len(audio)
        assert found[-1].origin == len(audio)


def test_without_audio_there_is_nothing() -> None:
    found, events = heard(endpointer(), [])
    assert found == [Found(0, 0)]
    assert events == []


def test_events_come_once_a_stretch_however_often_it_is_cut() -> None:
    _, events = heard(endpointer(QUICK), [curve((1, 0.1), (11, 0.9), (1, 0.1), (1, 0.9), (1, 0.1))])
    assert [event.started for event in events] == [True, False, True, False]
    positions = [seconds(event.position) for event in events]
    assert positions == pytest.approx([1, 12, 13, 14], abs=3 * FRAME_SECONDS)


@pytest.mark.parametrize("silence", [3.0, 20.0])
@pytest.mark.parametrize("end_silence", [1.0, 5.0])
def test_speech_that_ends_at_a_cut_has_ended(silence: float, end_silence: float) -> None:
    """All that was left of it was in the part before."""
    how = msgspec.structs.replace(QUICK, end_silence=end_silence, max_segment=2.0)
    audio = curve((1.0, 0.9), (0.3, 0.2), (0.3, 0.45), (silence, 0.0), (1, 0.9), (6, 0.0))
    _, events = heard(endpointer(how), [audio])
    kinds = [event.started for event in events]
    assert kinds == [True, False] * (len(kinds) // 2)
    positions = [event.position for event in events]
    assert positions == sorted(positions)


def test_what_goes_on_can_be_looked_at() -> None:
    ears = endpointer()
    ears.push(curve((1, 0.0), (0.064, 0.9)))
    assert not list(ears.spans())
    assert (ears.going_on(), ears.speaking) == (None, False)
    ears.push(curve((1, 0.9)))
    assert not list(ears.spans())
    found = ears.going_on()
    assert found
    assert ears.speaking
    assert (seconds(found[0].start), found[0].end) == (
        pytest.approx(1 - HOW.pre_roll, abs=FRAME_SECONDS),
        ears.received,
    )
    assert ears.spoken == ears.received
    assert not list(ears.spans())


PROBABILITIES = st.sampled_from([0.0, 0.2, 0.34, 0.4, 0.49, 0.55, 0.6, 0.9])
SPEECH = st.lists(st.tuples(st.sampled_from([0.032, 0.1, 0.3, 1.0, 3.0, 6.0]), PROBABILITIES), max_size=14)
HOWS = st.sampled_from(
    [
        HOW,
        QUICK,
        Endpointing(0.1, 2.0, 0.0, 0.0),
        Endpointing(5.0, 2.0, 2.0, 2.0),
        Endpointing(0.3, 3, 0, 0.3),
    ]
)


@st.composite
def audio(draw: st.DrawFn) -> Samples:
    """Any speech, not in whole frames, each sample unlike its neighbours."""
    parts = draw(SPEECH)
    offset = draw(st.integers(0, FRAME - 1))
    made = np.concatenate([curve((0, 0)), *(curve(part) for part in parts)])[offset:]
    return (made + np.arange(len(made), dtype=np.int16) % 7).astype(np.int16)


@given(audio(), HOWS, st.lists(st.integers(1, 100_000), max_size=12))
@settings(max_examples=60, deadline=None)
def test_how_the_audio_is_cut_into_pushes_changes_nothing(
    samples: Samples, how: Endpointing, sizes: list[int]
) -> None:
    whole, events = heard(endpointer(how), [samples])
    pieces = np.split(samples, np.cumsum(sizes))
    found, seen = heard(endpointer(how), pieces)
    assert spans(found) == spans(whole)
    assert seen == events
    assert {one for one in whole if one.span} <= set(found)


@given(audio(), HOWS)
@settings(max_examples=60, deadline=None)
def test_a_stream_taken_up_at_any_origin_goes_on_as_it_would_have(samples: Samples, how: Endpointing) -> None:
    """The promise that resume tokens stand on."""
    whole, _ = heard(endpointer(how), np.split(samples, range(1600, len(samples), 1600)))
    for index, stand in enumerate(whole):
        assert stand.origin % GRID == 0 or stand.origin == len(samples)
        rest = endpointer(how, stand.origin, stand.keep_from)
        again, _ = heard(rest, [samples[stand.origin :]])
        assert spans(again) == spans(whole[index + 1 :])


@given(audio(), HOWS)
@settings(max_examples=50, deadline=None)
def test_events_alternate_over_any_number_of_breaks(samples: Samples, how: Endpointing) -> None:
    """A caller who has the token has the events before it, and gets none of them again."""
    whole, events = heard(endpointer(how), [samples])
    assert [event.started for event in events] == [True, False] * (len(events) // 2)
    for stand in whole:
        if stand.span and stand.keep_from > stand.origin:  # in the middle of speech
            _, rest = heard(endpointer(how, stand.origin, stand.keep_from), [samples[stand.origin :]])
            assert not rest[:1] or not rest[0].started
            assert rest == events[len(events) - len(rest) :]

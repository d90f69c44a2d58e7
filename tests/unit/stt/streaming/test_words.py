"""What is said of a stretch: its words at a cut, and the stable part of what goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.stt.streaming.agreement import Agreement
from earshot.stt.streaming.cuts import joined
from earshot.stt.streaming.wire import Span
from earshot.stt.types import SAMPLE_RATE, Segment, Transcript, Word


def _span(start: float, end: float, keep_from: float, keep_to: float) -> Span:
    return Span(*(round(at * SAMPLE_RATE) for at in (start, end, keep_from, keep_to)))


def _segment(*words: Word, confidence: float | None = None) -> Segment:
    text = " ".join(word.text for word in words)
    return Segment(text, words[0].start, words[-1].end, confidence, words)


ONE, TWO, THREE = Word("one", 0.1, 0.5), Word("two", 0.8, 1.2), Word("three", 1.5, 1.9)
HEARD = Transcript((_segment(ONE, TWO, confidence=0.5), _segment(THREE, confidence=0.7)), "en")


def test_all_of_a_stretch_is_one_segment_on_the_streams_clock() -> None:
    segment = joined(HEARD, _span(10, 12, 10, 12), words=True)
    assert segment
    assert segment.text == "one two three"
    assert (segment.start, segment.end) == pytest.approx((10.1, 11.9))
    assert segment.confidence == pytest.approx(0.6)
    assert [word.start for word in segment.words] == pytest.approx([10.1, 10.8, 11.5])
    assert [word.end for word in segment.words] == pytest.approx([10.5, 11.2, 11.9])


def test_words_are_given_to_those_who_want_them() -> None:
    segment = joined(HEARD, _span(10, 12, 10, 12), words=False)
    assert segment
    assert segment.words == ()


@pytest.mark.parametrize(
    ("keep_from", "keep_to", "text"),
    [
        (10, 11.05, "one two"),  # the middle of "two" is at 11.0
        (10, 10.95, "one"),
        (11.05, 12, "three"),
        (10.95, 12, "two three"),
        (10.95, 11.05, "two"),
    ],
)
def test_at_a_cut_a_word_is_kept_by_its_middle(keep_from: float, keep_to: float, text: str) -> None:
    segment = joined(HEARD, _span(10, 12, keep_from, keep_to), words=False)
    assert segment
    assert segment.text == text


def test_both_sides_of_a_cut_keep_each_word_once() -> None:
    cut = 11.0  # at the very middle of "two"
    before = joined(HEARD, _span(10, 12, 10, cut), words=False)
    after = joined(HEARD, _span(10, 12, cut, 12), words=False)
    assert before
    assert after
    assert f"{before.text} {after.text}" == "one two three"


@pytest.mark.parametrize(
    ("transcript", "span"),
    [
        (Transcript(), _span(0, 2, 0, 2)),
        (Transcript((Segment("", 0.0, 1.0),), "en"), _span(0, 2, 0, 2)),
        (HEARD, _span(10, 12, 11.95, 12)),
    ],
)
def test_where_no_word_is_left_there_is_nothing(transcript: Transcript, span: Span) -> None:
    assert joined(transcript, span, words=True) is None


def test_languages_without_spaces_get_none() -> None:
    words = (Word("你", 0.0, 0.2), Word("好", 0.3, 0.5))
    heard = Transcript((Segment("你好", 0.0, 0.5, None, words),), "zh-CN")
    segment = joined(heard, _span(0, 1, 0, 0.9), words=False)
    assert segment
    assert (segment.text, segment.confidence) == ("你好", None)


def test_what_two_hypotheses_agree_on_is_stable() -> None:
    agreement = Agreement()
    assert agreement.add("one") == ("", "one")
    assert agreement.add("one two free") == ("one", "two free")
    assert agreement.add("one two three") == ("one two", "three")
    assert agreement.add("one") == ("one two", "")


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=8))
def test_what_is_stable_is_never_taken_back(hypotheses: list[list[str]]) -> None:
    agreement, before = Agreement(), list[str]()
    for index, words in enumerate(hypotheses):
        stable, unstable = (part.split() for part in agreement.add(" ".join(words)))
        assert stable[: len(before)] == before
        if words[: len(stable)] == stable:
            assert stable + unstable == words
        if index and words == hypotheses[index - 1] and words[: len(before)] == before:
            assert stable[: len(words)] == words
        before = stable

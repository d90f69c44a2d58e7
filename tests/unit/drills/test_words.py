"""Streams under a fault must say, word for word, what they say without one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from earshot.client import Summary
from tests.drills.drill import Result
from tests.drills.speech import Heard, Recording
from tests.drills.streams import judge, judge_breaks, sound

SPOKEN = ["one", "two", "three", "four"]


def heard(words: Sequence[str], breaks: int = 0, *, complete: bool = True) -> Heard:
    return Heard(list(words), breaks=breaks, summary=Summary(1.0, 1.0, 1, complete))


def judged(words: Sequence[str], *, complete: bool = True) -> Result:
    result = Result()
    judge([heard(words, complete=complete)], [SPOKEN], result)
    return result


def test_the_same_words_hold() -> None:
    assert judged(SPOKEN).broken == []


@pytest.mark.parametrize(
    "words",
    [
        ["nine", "nine", "nine", "nine"],
        ["two", "two", "three", "four"],  # one lost, and one doubled
        ["one", "two", "three"],
        ["one", "one", "two", "three", "four"],
        [],
    ],
)
def test_other_words_do_not(words: list[str]) -> None:
    assert judged(words).broken


def test_a_stream_that_ends_early_does_not() -> None:
    assert judged(SPOKEN, complete=False).broken == ["1 streams not complete"]


@pytest.mark.parametrize(
    ("label", "holds"), [("numbers", True), (None, True), ("weather", False), ("", False)]
)
def test_a_stream_that_is_scored_is_labelled_as_it_should_be(label: str | None, holds: bool) -> None:
    result, one = Result(), heard(SPOKEN)
    one.label = label
    judge([one], [SPOKEN], result)
    assert bool(result.broken) != holds


def test_streams_that_were_never_met_show_nothing() -> None:
    met, spared = Result(), Result()
    judge_breaks([heard(SPOKEN, breaks=3)], 3, met)
    judge_breaks([heard(SPOKEN)], 0.2, spared)

    assert not met.broken
    assert spared.broken


@pytest.mark.parametrize("bad", [heard(["nine"] * 4), heard(SPOKEN, complete=False)])
def test_nothing_is_held_against_a_load_that_is_no_good(bad: Heard) -> None:
    with pytest.raises(RuntimeError, match="with nothing broken"):
        sound([bad], [Recording("a", b"", SPOKEN, [])])

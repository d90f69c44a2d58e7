"""What a load makes of other answers than it expects."""

from __future__ import annotations

import pytest

from benchmarks.saturation import PARTED, check


def test_the_same_answers() -> None:
    check(["one two", "a|b"], ["one two", "a|b"])


def test_other_words() -> None:
    with pytest.raises(AssertionError, match="other words"):
        check(["one two", "three"], ["one two", "four"])


@pytest.mark.parametrize(("wrong", "passes"), [(2, True), (3, False)])
def test_labels_may_fall_otherwise_in_one_of_fifty(wrong: int, passes: bool) -> None:
    expected = PARTED.join(["a"] * 100)
    said = PARTED.join(["b"] * wrong + ["a"] * (100 - wrong))

    if passes:
        check([said], [expected])
    else:
        with pytest.raises(AssertionError):
            check([said], [expected])


def test_an_answer_that_is_missing() -> None:
    with pytest.raises(ValueError, match="zip"):
        check(["a"], ["a", "b"])

"""A slope, and what is noise."""

from __future__ import annotations

import random

import pytest

from tests.drills.slopes import Slope, slope_of

_LOOKS = 240
_HOUR = 3600.0


def _slope(memory: list[float]) -> Slope:
    return slope_of([(number * 5 / _HOUR, value) for number, value in enumerate(memory)])


def _noise(seed: int) -> list[float]:
    """Of a process: what it holds goes up and down with the calls at work."""
    chance = random.Random(seed)
    return [100 + chance.gauss(0, 1) + (20 if chance.random() < 0.1 else 0) for _ in range(_LOOKS)]


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_slope(seed: int) -> None:
    slope = _slope(_noise(seed))

    assert slope.lowest < 0 < slope.highest


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_seen_through_the_noise(seed: int) -> None:
    slope = _slope([value + 12 * number * 5 / _HOUR for number, value in enumerate(_noise(seed))])

    assert slope.lowest > 4
    assert slope.lowest < 12 < slope.highest


def test_a_step_is_no_slope() -> None:
    slope = _slope([100 + 50 * (number >= _LOOKS // 2) for number in range(_LOOKS)])

    assert slope.lowest == 0


def test_a_staircase_is_one() -> None:
    slope = _slope([100.0 + 5 * (number // (_LOOKS // 5)) for number in range(_LOOKS)])

    assert slope.lowest > 10


def test_a_straight_line_has_no_noise() -> None:
    slope = _slope([2.0 * number for number in range(_LOOKS)])

    assert slope.most_likely == pytest.approx(2 * _HOUR / 5)
    assert (slope.lowest, slope.highest) == pytest.approx((slope.most_likely, slope.most_likely))


def test_too_few_looks_say_nothing() -> None:
    with pytest.raises(ValueError, match="5 looks say nothing"):
        slope_of([(float(number), 0.0) for number in range(5)])

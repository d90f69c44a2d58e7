"""How fast something grows, and how sure that is.

Theil and Sen's slope: the median of the slopes between any two points, with bounds by Kendall's statistic
(Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"). A single step is no slope by it,
however high; a staircase is one. The points are medians of stretches of time: looks that follow on each other
see the same call at work, and would count as more than they say.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_STRETCHES: Final = 12
_LEAST: Final = 6  # points, of which something can be said
_SURE: Final = 2.576  # standard deviations: in 99 of 100 cases the slope is within its bounds

Point = tuple[float, float]  # when, how much


@dataclass(frozen=True)
class Slope:
    """By unit of time."""

    most_likely: float
    lowest: float
    highest: float


def slope_of(points: Sequence[Point]) -> Slope:
    """Of looks in the order of time. Raises ValueError where they are too few to say anything."""
    if len(points) < _LEAST:
        raise ValueError(f"{len(points)} looks say nothing about a slope: at least {_LEAST} do")
    medians = medians_of(points)
    pairs = itertools.combinations(medians, 2)
    slopes = sorted((later[1] - one[1]) / (later[0] - one[0]) for one, later in pairs)
    beyond = _beyond(len(medians), len(slopes))
    return Slope(statistics.median(slopes), slopes[beyond], slopes[-1 - beyond])


def medians_of(points: Sequence[Point]) -> list[Point]:
    """Of so many stretches of equally many looks, to one."""
    count = min(_STRETCHES, len(points))
    cuts = [len(points) * number // count for number in range(count + 1)]
    stretches = [points[start:end] for start, end in itertools.pairwise(cuts)]
    return [(_median(stretch, 0), _median(stretch, 1)) for stretch in stretches]


def _median(points: Sequence[Point], which: int) -> float:
    return statistics.median(point[which] for point in points)


def _beyond(points: int, slopes: int) -> int:
    """How many of the slopes, in order, lie outside of either bound."""
    deviation = math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    return max(0, math.floor((slopes - _SURE * deviation) / 2))

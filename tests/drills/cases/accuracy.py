"""Streams against calls."""

from __future__ import annotations

from tests.drills.drill import Drill
from tests.drills.streams import compared, machine

DRILL = Drill(
    "accuracy",
    "live streams and unary calls of the same recordings",
    "as many words are wrong in both, to 1 % of the words",
    machine,
    compared,
)

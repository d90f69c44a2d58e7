"""Histories of a stream; ``EARSHOT_HISTORIES`` says how many, and ``make drills`` tries thousands."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.unit.stt.streaming.histories import STEPS, Stream

HISTORIES = int(os.environ.get("EARSHOT_HISTORIES", "60"))

TestHistories = Stream.TestCase
TestHistories.settings = settings(max_examples=HISTORIES, stateful_step_count=STEPS, deadline=None)

"""Who goes first where front processes and engines share cores."""

from __future__ import annotations

import os
from typing import Final

# Two fifths of a processor's time beside one that gives no way. With five steps texts take a tenth longer.
_STEPS: Final = 2


def give_way() -> None:
    """From now on this process computes when those that answer callers have nothing to do: nice(2).

    They need little and at once, an engine needs much and for long: refusals, health checks and the first
    bytes of answers do not wait behind it.
    """
    os.nice(_STEPS)

"""Whether the other replicas are full as well, by what comes here from them.

Who is full refuses a call, and the proxy asks another replica. Where that is full too, a call costs every
replica a refusal. So each remembers for some seconds how many calls it has sent on, and how many it has
refused that others had sent on: about as many when all are full, few when somebody has room. Then it says
that it is enough (Beyer et al. 2016, "Site Reliability Engineering", ch. 21, "Handling Overload":
"overloaded; don't retry"). Some calls are sent on all the same: by them all learn when there is room again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

_TRIES: Final = 3  # of one call, whatever is known: more take from the work what refusing costs
_SHARE: Final = 0.65  # of calls sent on that come back in kind; beyond that the others are full
_CERTAIN: Final = 2.0  # calls refused here and there, below which nothing is known
_SENT_ON: Final = 4  # every fourth new call, where the others are full
_MEMORY: Final = 2.0  # seconds after which a call counts for a third of what it did


class Elsewhere:
    """Asked once for every call that finds no room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._sent_on = self._refused_twice = 0.0  # calls, those of long ago for less
        self._kept = 0  # in a row, as the others are full

    def is_full(self, attempt: int) -> bool:
        """Whether to send a call no further that finds no room here at its ``attempt``-th try."""
        self._forget()
        self._refused_twice += attempt > 1
        if attempt >= _TRIES or (self._knows() and (attempt > 1 or self._keeps())):
            return True
        self._sent_on += 1
        return False

    def _knows(self) -> bool:
        return self._refused_twice >= max(_CERTAIN, _SHARE * self._sent_on)

    def _keeps(self) -> bool:
        self._kept = (self._kept + 1) % _SENT_ON
        return self._kept > 0

    def _forget(self) -> None:
        """What is not so any more."""
        now = self._clock()
        left = math.exp((self._at - now) / _MEMORY)
        self._at = now
        self._sent_on *= left
        self._refused_twice *= left

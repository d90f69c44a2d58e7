"""A capacity that clients share, some of it always kept for who is not there yet.

Each may hold at most a multiple of what is free, so that a client alone takes most of it and many leave a
little (dynamic thresholds, Choudhury and Hahne 1998, "Dynamic queue length thresholds for shared-memory
packet switches"). A group of clients is held to that as a whole, and its clients among themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from earshot.runtime.labels import Line

_TIMES_FREE: Final = 4  # what one may hold of what is free: 4/5 of all when it is alone
_DIGITS: Final = 6  # of sums of shares, so that they come back to 0
_ROUNDING: Final = 10.0**-_DIGITS


class Room:
    """So much of something; knows who holds how much of it."""

    def __init__(self, capacity: float, least: float) -> None:
        """``least``: what a client may hold in any case, while there is room at all."""
        self._capacity, self._least = capacity, least
        self._held: dict[Line, float] = {}  # by client and by group; () is all

    @property
    def held(self) -> float:
        """How much is taken, by all."""
        return self._of(())

    def has(self, amount: float) -> bool:
        """Whether there is so much for anybody. The first always fits."""
        return not self.held or self.held + amount <= self._capacity + _ROUNDING

    def has_for(self, line: Line, amount: float) -> bool:
        """Whether there is so much for this client beside what others must be left."""
        room = self._capacity - self.held
        for each in _groups(line):
            room = max(self._least, _TIMES_FREE * room) - self._of(each)
            if self._of(each) and amount > room + _ROUNDING:
                return False
        return True

    def take(self, line: Line, amount: float) -> None:
        """``line`` holds so much more; less than nothing gives it back."""
        for each in ((), *_groups(line)):
            self._held[each] = round(self._of(each) + amount, _DIGITS)
            if not self._held[each]:
                del self._held[each]

    def _of(self, line: Line) -> float:
        return self._held.get(line, 0.0)


def _groups(line: Line) -> Iterator[Line]:
    """The outermost group first, the client last."""
    return (line[: depth + 1] for depth in range(len(line)))

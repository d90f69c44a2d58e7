"""Whether a child process still does anything, by what the kernel counts."""

from __future__ import annotations

import os
import time


class Pulse:
    """Looked at now and then: how often in a row nothing has moved.

    By looks and not by time: where this process has been without a processor too, one look has passed.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._spent = -1.0
        self._still = 0

    def look(self, *, at_work: bool) -> int:
        """Looks in a row at which it had spent no CPU time though it was ``at_work``, or had been stopped."""
        spent = _cpu_seconds(self._pid)
        has_moved, self._spent = spent != self._spent, spent
        is_still = not has_moved and (at_work or _is_stopped(self._pid))
        self._still = self._still + 1 if is_still else 0
        return self._still


def _cpu_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond; NaN, which is never the same, where it cannot be told.

    clock_getcpuclockid(3): the clock's number is the process's, inverted, and 2 for the scheduler's clock.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return float("nan")


def _is_stopped(pid: int) -> bool:
    """By a signal, so that nothing but a signal lets it go on; as the kernel tells its parent."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except OSError:
        return False

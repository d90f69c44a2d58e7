"""The stretches of time that quotas are for: calendar minutes, days and months, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache


class Window(StrEnum):
    """The longest first: who is over several is told of the one that resets last."""

    MONTH = "month"
    DAY = "day"
    MINUTE = "minute"

    def name_at(self, now: datetime) -> str:
        """The window that ``now`` lies in, as 202611, 20261125 or 202611251746."""
        form = {Window.MONTH: "%Y%m", Window.DAY: "%Y%m%d", Window.MINUTE: "%Y%m%d%H%M"}
        return now.strftime(form[self])

    def ends_after(self, now: datetime) -> datetime:
        """When the next one begins."""
        minute = now.replace(second=0, microsecond=0)
        if self is Window.MINUTE:
            return minute + timedelta(minutes=1)
        day = minute.replace(hour=0, minute=0)
        if self is Window.DAY:
            return day + timedelta(days=1)
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def names_at(seconds: float) -> tuple[str, ...]:
    """The windows that a moment lies in, since the epoch, in the order of ``Window``: every call asks."""
    return _names(int(seconds // 60))


@lru_cache(maxsize=4)
def _names(minute: int) -> tuple[str, ...]:
    now = utc(60 * minute)
    return tuple(window.name_at(now) for window in Window)


def ends_at(seconds: float) -> tuple[int, ...]:
    """When they end, in seconds since the epoch, in the same order."""
    return _ends(int(seconds // 60))


@lru_cache(maxsize=2)
def _ends(minute: int) -> tuple[int, ...]:
    now = utc(60 * minute)
    return tuple(int(window.ends_after(now).timestamp()) for window in Window)


def utc(seconds: float) -> datetime:
    """Seconds since the epoch as a time."""
    return datetime.fromtimestamp(seconds, UTC)


def days(first: date, last: date) -> list[str]:
    """Each day of a range, both ends included."""
    return [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]

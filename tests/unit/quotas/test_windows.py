"""When a quota begins anew."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.quotas.windows import Window, days, ends_at, names_at

CASES = [
    (Window.MINUTE, "2026-12-31 23:59:59", "202612312359", "2027-01-01 00:00:00"),
    (Window.DAY, "2028-02-28 12:00:00", "20280228", "2028-02-29 00:00:00"),
    (Window.MONTH, "2026-12-31 23:59:59", "202612", "2027-01-01 00:00:00"),
    (Window.MONTH, "2026-01-31 00:00:00", "202601", "2026-02-01 00:00:00"),
]


@pytest.mark.parametrize(("window", "now", "name", "end"), CASES)
def test_windows_are_those_of_the_calendar(window: Window, now: str, name: str, end: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert window.name_at(moment) == name
    assert names_at(moment.timestamp() + 0.999)[list(Window).index(window)] == name
    ends = ends_at(moment.timestamp() + 0.999)
    assert datetime.fromtimestamp(ends[list(Window).index(window)], UTC) == window.ends_after(moment)
    assert window.ends_after(moment) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@given(st.integers(0, 2**33))
def test_each_moment_is_in_one_window_of_each_kind(seconds: int) -> None:
    """It ends after the moment, and has another name a second later; up to then it has this one."""
    for window, name, end in zip(Window, names_at(seconds), ends_at(seconds), strict=True):
        place = list(Window).index(window)
        assert seconds < end
        assert names_at(end - 1)[place] == name
        assert names_at(end)[place] != name


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.integers(0, 400))
def test_days_are_all_of_a_range_and_in_order(first: date, more: int) -> None:
    last = first + timedelta(days=more)
    found = days(first, last)
    assert (found[0], found[-1], len(set(found))) == (first.isoformat(), last.isoformat(), more + 1)
    assert found == sorted(found)


def test_days_have_both_ends() -> None:
    assert days(date(2026, 2, 27), date(2026, 3, 1)) == ["2026-02-27", "2026-02-28", "2026-03-01"]

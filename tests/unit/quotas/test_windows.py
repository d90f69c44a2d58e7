"""When a quota begins anew."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

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


def test_days_have_both_ends() -> None:
    assert days(date(2026, 2, 27), date(2026, 3, 1)) == ["2026-02-27", "2026-02-28", "2026-03-01"]

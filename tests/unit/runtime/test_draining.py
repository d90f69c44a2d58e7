"""When a stream's caller is sent away."""

from __future__ import annotations

import asyncio

import pytest

from earshot.runtime.draining import Draining


async def test_it_is_told_once_to_all_who_wait() -> None:
    draining = Draining()
    waiting = [asyncio.create_task(draining.time_to_leave(3600, 5)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not draining.is_on
    draining.start(30)
    assert draining.is_on
    for left in await asyncio.gather(*waiting):
        assert left == pytest.approx(30, abs=10)


async def test_who_comes_late_has_less_time() -> None:
    draining = Draining()
    draining.start(0)
    assert await draining.time_to_leave(3600, 5) == 0


async def test_a_connection_that_lasts_too_long_gets_notice() -> None:
    draining = Draining()
    assert await draining.time_to_leave(0.01, 5) == 5
    assert not draining.is_on

"""What the streams of a replica have in common. Their life is tested over the wire."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from earshot.stt.streaming.session import Hearing, SessionLimits


class Engines:
    """As far as it is asked."""

    def __init__(self, *, has_idle: bool) -> None:
        self.has_idle = has_idle


@pytest.mark.parametrize("has_idle", [True, False])
async def test_interims_are_given_up_where_a_final_would_wait(has_idle: bool) -> None:
    unasked = cast("Any", None)
    engines = cast("Any", Engines(has_idle=has_idle))
    hearing = Hearing(unasked, engines, unasked, unasked, SessionLimits(1.0, 1.0, 1.0))
    interim = asyncio.create_task(asyncio.sleep(60))
    hearing.interims.add(interim)
    hearing.make_way()
    await asyncio.sleep(0)
    assert interim.cancelled() is not has_idle
    interim.cancel()

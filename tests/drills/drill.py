"""What a drill is made of."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.drills.proxy import Network
from tests.drills.stack import Stack


@dataclass(frozen=True)
class World:
    """What a fault can get at."""

    stack: Stack
    network: Network


@dataclass(frozen=True)
class Drill:
    """A fault under the load of live streams. All words must be there, once, and each summary complete."""

    name: str
    title: str
    fault: Callable[[World], Awaitable[None]]  # runs beside the load, until that ends
    codec: str | None = None
    real_time: bool = False  # as fast as speech, and not faster


async def every(seconds: float, strike: Callable[[int], Awaitable[None]]) -> None:
    """Strikes again and again, the first time after half of ``seconds``."""
    await asyncio.sleep(seconds / 2)
    for number in itertools.count():
        await strike(number)
        await asyncio.sleep(seconds)

"""What a drill is made of."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

Count = int | float | str


class CannotError(Exception):
    """The drill cannot be done here; says why."""


@dataclass(frozen=True)
class Form:
    """How much of it."""

    short: bool
    minutes: float = 30.0  # of the soak

    def is_of_a_release(self, drill: Drill) -> bool:
        """Whether what ``drill`` comes to may be published: it has all its time, and no other."""
        return not self.short and not (drill.lasting and self.minutes != type(self).minutes)


@dataclass
class Result:
    """What a drill has come to."""

    counts: dict[str, Count] = field(default_factory=dict)  # by what is counted, in words
    broken: list[str] = field(default_factory=list)  # what did not hold

    def must(self, holds: object, what: str) -> None:
        """``what`` is said where it does not hold."""
        if not holds:
            self.broken.append(what)


Scene = Callable[[Form], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True)
class Drill:
    """A load, a fault beside it, and what must hold.

    Drills of one scene that follow on each other share it: each leaves it as it was.
    """

    name: str
    title: str  # the load and the fault
    must: str  # what holds all the same
    scene: Scene  # makes what it takes place in
    run: Callable[[Any, Form], Awaitable[Result]]  # gets what the scene has made
    short: bool = True  # part of the short form
    limit: float = 900.0  # seconds that the long form may take: what never recovers has not held
    lasting: bool = False  # takes as long as --minutes says; the limit is for the rest
    cluster: bool = False  # takes place in the cluster of KUBECONFIG, else on this machine


async def every(seconds: float, strike: Callable[[int], Awaitable[None]]) -> None:
    """Strikes again and again, the first time after half of ``seconds``."""
    await asyncio.sleep(seconds / 2)
    for number in itertools.count():
        await strike(number)
        await asyncio.sleep(seconds)

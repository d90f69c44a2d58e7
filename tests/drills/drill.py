"""What a drill is made of."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

Count = int | float | str

_STRUCK: Final = 0.8  # of the strikes that were due: fewer are no such fault


class CannotError(Exception):
    """The drill cannot be done here; says why."""


@dataclass(frozen=True)
class Form:
    """How much of it."""

    short: bool
    minutes: float = 60.0  # of the soak, of which half warms up

    def is_of_a_release(self, drill: Drill) -> bool:
        """Whether what ``drill`` comes to may be published: it has all its time, and no other."""
        return not self.short and not (drill.lasting and self.minutes != type(self).minutes)


@dataclass
class Result:
    """What a drill has come to."""

    counts: dict[str, Count] = field(default_factory=dict)  # by what is counted, in words
    broken: list[str] = field(default_factory=list)  # what did not hold
    details: dict[str, Any] = field(default_factory=dict)  # for the file alone: too much for a line

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


@dataclass
class Strikes:
    """How often a fault was due, and how often there was something that it struck."""

    due: int = 0
    struck: int = 0

    def note(self, struck: object) -> None:
        """One was due; whether it struck anything."""
        self.due += 1
        self.struck += bool(struck)

    async def every(self, seconds: float, strike: Callable[[int], Awaitable[bool]]) -> None:
        """Strikes again and again, the first time after half of ``seconds``; one that takes long has others
        due meanwhile. ``strike`` gives whether it struck anything.
        """
        begun = time.monotonic()
        try:
            await asyncio.sleep(seconds / 2)
            for number in itertools.count():
                self.struck += await strike(number)
                await asyncio.sleep(seconds)
        finally:
            self.due = round((time.monotonic() - begun) / seconds)

    def judge(self, result: Result) -> None:
        """What holds shows nothing where nothing was struck."""
        result.counts["strikes"] = self.struck
        enough = self.struck >= max(1, int(_STRUCK * self.due))
        result.must(enough, f"struck {self.struck} times, and {self.due} were due")


@asynccontextmanager
async def beside(fault: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """It goes on meanwhile and ends with this; what it raises is raised here."""
    striking = asyncio.create_task(fault)
    try:
        yield
    finally:
        striking.cancel()
        with suppress(asyncio.CancelledError):
            await striking

"""Runs drills, each in its scene and within its time: what never ends has not held."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from tests.drills.drill import CannotError, Drill, Form, Result, Scene
from tests.drills.results import Row

_SHORT: Final = 180.0  # seconds that a drill of the short form may take; nothing here is a measurement
_SCENE: Final = 600.0  # seconds that it may take to make a scene, and to take it down


class LateError(Exception):
    """It was not over in its time."""


async def done(wanted: Sequence[Drill], form: Form) -> AsyncIterator[Row]:
    """A row for each drill, as it ends; the last of a scene once more where that cannot be taken down."""
    for scene, drills in itertools.groupby(wanted, lambda drill: drill.scene):
        async for row in _in_scene(scene, list(drills), form):
            yield row


async def _in_scene(scene: Scene, drills: Sequence[Drill], form: Form) -> AsyncIterator[Row]:
    async with AsyncExitStack() as stack:  # taken down also where the run is broken off
        try:
            async with _within(_SCENE):
                made = await stack.enter_async_context(scene(form))
        except CannotError as exc:
            for drill in drills:
                yield Row.of(drill, Result(), 0.0, skipped=str(exc))
            return
        except Exception as exc:  # the other scenes are still worth making
            for drill in drills:
                yield Row.of(drill, Result(broken=[f"its scene was not made: {_said(exc)}"]), 0.0)
            return
        for drill in drills:
            row = await _done(drill, made, form)
            yield row
        try:
            async with _within(_SCENE):
                await stack.aclose()
        except Exception as exc:
            yield replace(row, broken=[*row.broken, f"its scene was not taken down: {_said(exc)}"])


async def _done(drill: Drill, made: object, form: Form) -> Row:
    started = time.monotonic()
    skipped = ""
    try:
        async with _within(_limit(drill, form)):
            result = await drill.run(made, form)
    except CannotError as exc:
        result, skipped = Result(), str(exc)
    except Exception as exc:  # the other drills are still worth doing
        result = Result(broken=[_said(exc)])
    return Row.of(drill, result, time.monotonic() - started, skipped)


def _limit(drill: Drill, form: Form) -> float:
    """Seconds that it may take."""
    own = _SHORT if form.short else drill.limit
    return own + (60 * form.minutes if drill.lasting else 0.0)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises LateError where what is done in it takes longer. Another's TimeoutError stays what it is."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as exc:
        if limit.expired():
            raise LateError(f"not over after {seconds:g} s") from exc
        raise


def _said(exc: Exception) -> str:
    return str(exc) if isinstance(exc, LateError) else f"{type(exc).__name__}: {exc}"

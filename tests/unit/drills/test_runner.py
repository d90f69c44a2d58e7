"""How drills are run: each is over in its time, whatever one comes to, and so is what they take place in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.drills import runner
from tests.drills.drill import CannotError, Drill, Form, Result, Scene
from tests.drills.results import Row

LONG, SHORT = Form(short=False), Form(short=True)


@asynccontextmanager
async def _nowhere(_: Form) -> AsyncIterator[None]:
    yield


async def _held(_made: Any, _form: Form) -> Result:
    return Result({"calls": 1})


async def _for_ever(*_: Any) -> Result:
    await asyncio.Event().wait()
    raise AssertionError


def _drill(
    run: Callable[[Any, Form], Awaitable[Result]] = _held, scene: Scene = _nowhere, **more: Any
) -> Drill:
    return Drill(run.__name__, "a load", "something", scene, run, **more)


async def _rows(*drills: Drill, form: Form = LONG) -> list[Row]:
    return [row async for row in runner.done(drills, form)]


async def test_a_drill_that_is_never_over_has_not_held_and_the_next_is_done() -> None:
    late, next_one = await _rows(_drill(_for_ever, limit=0.0), _drill())

    assert (late.state, late.broken) == ("did not hold", ["not over after 0 s"])
    assert next_one.state == "held"


async def test_the_short_form_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_SHORT", 0.0)

    (row,) = await _rows(_drill(_for_ever), form=SHORT)

    assert row.broken == ["not over after 0 s"]


async def test_a_time_limit_within_a_drill_is_not_taken_for_the_drills_own() -> None:
    async def waits(_made: Any, _form: Form) -> Result:
        raise TimeoutError("no answer")

    (row,) = await _rows(_drill(waits))

    assert row.broken == ["TimeoutError: no answer"]


@pytest.mark.parametrize(
    ("form", "seconds"), [(LONG, 3700.0), (Form(short=False, minutes=5), 400.0), (SHORT, 3780.0)]
)
def test_what_lasts_as_long_as_one_likes_has_that_time_beside_its_limit(form: Form, seconds: float) -> None:
    assert runner._limit(_drill(limit=100.0, lasting=True), form) == seconds
    assert runner._limit(_drill(limit=100.0), LONG) == 100.0


async def test_a_scene_that_is_never_made_has_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_SCENE", 0.0)

    @asynccontextmanager
    async def never(_: Form) -> AsyncIterator[None]:
        await _for_ever()
        yield

    row, elsewhere = await _rows(_drill(scene=never), _drill())

    assert row.broken == ["its scene was not made: not over after 0 s"]
    assert elsewhere.state == "held"


async def test_a_scene_that_cannot_be_taken_down_has_not_held() -> None:
    """As one whose processes do not end: its last drill is said once more."""

    @asynccontextmanager
    async def stays(_: Form) -> AsyncIterator[None]:
        yield
        raise OSError("still mounted")

    first, second, again, elsewhere = await _rows(_drill(scene=stays), _drill(scene=stays), _drill())

    assert [first.state, second.state, elsewhere.state] == ["held", "held", "held"]
    assert again.broken == ["its scene was not taken down: OSError: still mounted"]


async def test_what_cannot_be_done_is_not_done() -> None:
    @asynccontextmanager
    async def impossible(_: Form) -> AsyncIterator[None]:
        raise CannotError("it takes root")
        yield

    rows = await _rows(_drill(scene=impossible), _drill(scene=impossible))

    assert [row.verdict for row in rows] == ["not done: it takes root"] * 2


async def test_a_scene_is_taken_down_where_the_run_is_broken_off() -> None:
    at_work, taken_down = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def scene(_: Form) -> AsyncIterator[None]:
        at_work.set()
        try:
            yield
        finally:
            taken_down.set()

    run = asyncio.create_task(_rows(_drill(_for_ever, scene)))
    await at_work.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert taken_down.is_set()

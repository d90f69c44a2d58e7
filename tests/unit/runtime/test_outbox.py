"""What a stream says, and how its tasks end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

import pytest

from earshot.runtime.outbox import Outbox


async def _all(outbox: Outbox[int], *work: Coroutine[object, object, None]) -> list[int]:
    async with contextlib.aclosing(outbox.replies(*work)) as replies:
        return [one async for one in replies]


async def _say(outbox: Outbox[int], *numbers: int) -> None:
    for number in numbers:
        await outbox.say(number)


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_all_is_said_in_order_though_others_never_end() -> None:
    outbox = Outbox[int]()
    assert await _all(outbox, _say(outbox, *range(100)), _for_ever()) == list(range(100))
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_comes_after_what_was_said_before_it() -> None:
    outbox = Outbox[int]()

    async def fails() -> None:
        await _say(outbox, 1, 2)
        raise ValueError("no more")

    replies = outbox.replies(_for_ever(), fails())
    assert [await anext(replies), await anext(replies)] == [1, 2]
    with pytest.raises(ValueError, match="no more"):
        await anext(replies)
    assert len(asyncio.all_tasks()) == 1


async def test_who_says_much_waits_for_the_reader() -> None:
    outbox = Outbox[int]()
    spoken: list[int] = []

    async def speaks() -> None:
        for number in range(1000):
            await outbox.say(number)
            spoken.append(number)

    replies = outbox.replies(speaks())
    assert await anext(replies) == 0
    for _ in range(100):
        await asyncio.sleep(0)
    assert outbox.is_full
    assert len(spoken) < 20
    await replies.aclose()
    assert len(asyncio.all_tasks()) == 1


async def test_what_was_started_beside_ends_with_it() -> None:
    outbox = Outbox[int]()
    beside = outbox.start(_for_ever())
    assert await _all(outbox, _say(outbox, 1)) == [1]
    assert beside.cancelled()


async def test_a_failure_beside_that_nobody_waits_for_is_no_failure() -> None:
    outbox = Outbox[int]()

    async def fails() -> None:
        raise ValueError

    outbox.start(fails())
    assert await _all(outbox, _say(outbox, 1)) == [1]


async def test_it_shows_that_it_lives_while_there_is_nothing_to_say() -> None:
    outbox = Outbox[str]()
    signs = iter(range(1_000))
    replies = outbox.replies(_for_ever(), outbox.show_life(lambda: f"alive {next(signs)}", 0.01))
    assert [await anext(replies) for _ in range(3)] == ["alive 0", "alive 1", "alive 2"]
    await replies.aclose()
    assert len(asyncio.all_tasks()) == 1


async def test_who_talks_need_not_show_that_it_lives() -> None:
    outbox = Outbox[str]()

    async def talks() -> None:
        for _ in range(100):
            await asyncio.sleep(0.01)
            await outbox.say("word")

    replies = outbox.replies(talks(), outbox.show_life(lambda: "alive", 60.0))
    assert {one async for one in replies} == {"word"}

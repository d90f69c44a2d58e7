"""The socket by which other commands reach a stack."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from earshot import errors
from earshot.local import control
from earshot.local.state import StateFolder


@pytest.fixture
def state() -> Iterator[StateFolder]:
    with TemporaryDirectory(prefix="earshot-test-") as folder:
        held = StateFolder(Path(folder))
        with held.hold():
            yield held


async def double(number: int) -> int:
    return 2 * number


async def refuse() -> None:
    raise errors.OutOfRangeError("too many", field="stt")


async def wait() -> None:
    await asyncio.Event().wait()


HANDLERS: dict[str, control.Handler] = {"double": double, "refuse": refuse, "wait": wait}


async def test_arguments_go_and_a_result_comes(state: StateFolder) -> None:
    async with control.serving(state, HANDLERS):
        assert await asyncio.gather(*(control.call(state, "double", number=n) for n in range(5))) == [
            0,
            2,
            4,
            6,
            8,
        ]


async def test_an_error_keeps_its_class(state: StateFolder) -> None:
    async with control.serving(state, HANDLERS):
        with pytest.raises(errors.OutOfRangeError, match="too many"):
            await control.call(state, "refuse")


@pytest.mark.parametrize(("command", "arguments"), [("nonsense", {}), ("double", {}), ("double", {"n": 1})])
async def test_a_command_of_another_version_is_refused(
    state: StateFolder, command: str, arguments: dict[str, Any]
) -> None:
    async with control.serving(state, HANDLERS):
        with pytest.raises(errors.UnimplementedError):
            await control.call(state, command, **arguments)


async def test_a_call_ends_when_the_stack_does(state: StateFolder) -> None:
    async with control.serving(state, HANDLERS):
        call = asyncio.create_task(control.call(state, "wait"))
        assert await control.call(state, "double", number=1) == 2
    with pytest.raises(errors.UnavailableError, match="ended before it had answered"):
        await call


async def test_who_does_not_wait_for_the_answer_leaves_no_error(state: StateFolder) -> None:
    """As one that is interrupted: the stack would show a traceback among its lines."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: told.append(what))
    asked, wanted = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        asked.set()
        await wanted.wait()

    async with control.serving(state, {**HANDLERS, "slow": slow}):
        caller = asyncio.create_task(control.call(state, "slow"))
        await asked.wait()
        caller.cancel()
        await asyncio.wait([caller])
        wanted.set()
        assert await control.call(state, "double", number=2) == 4
    assert told == []


async def test_no_stack(state: StateFolder) -> None:
    with pytest.raises(errors.UnavailableError, match="just starting or stopping"):
        await control.call(state, "status")
    elsewhere = StateFolder(Path("/nowhere"))
    with pytest.raises(errors.UnavailableError, match="`earshot up` starts one"):
        await control.call(elsewhere, "status")

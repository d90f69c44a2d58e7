"""Things done at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable


async def together(works: Iterable[Coroutine[None, None, None]]) -> None:
    """Returns when all are done. The first that fails ends the others, and its error is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel(*tasks)


async def until(condition: Callable[[], Awaitable[bool]], *, pause: float) -> None:
    """Asks every ``pause`` seconds and returns once the answer is True."""
    while not await condition():  # noqa: ASYNC110 - what is asked is another process
        await asyncio.sleep(pause)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Ends what still runs, and waits for it to have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""Ctrl-C and its kin, as an orderly end."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_signal(work: Coroutine[Any, Any, object]) -> bool:
    """Runs ``work``; a signal cancels it, and it may clean up. A second signal ends us at once.

    True where a signal came before the work was done. What the work raises is raised.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)

    def end() -> None:
        for number in _ENDING:
            loop.remove_signal_handler(number)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, end)
    try:
        await asyncio.wait({task})
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
    if task.cancelled():
        return True
    task.result()
    return False

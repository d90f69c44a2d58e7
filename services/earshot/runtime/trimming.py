"""What is free within the process goes back to the kernel, once a minute.

The allocator keeps all of it, for the next large message (see ``earshot.local.replicas``): without this the
process would stay as large as the worst of its minutes, and grow a little with each that is worse.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import AsyncIterator, Callable
from typing import Final

_EVERY_SECONDS: Final = 60.0  # where large messages matter, one in a minute that pays for new pages does not


@contextlib.asynccontextmanager
async def trimming(every: float = _EVERY_SECONDS) -> AsyncIterator[None]:
    """Beside what is done within; nothing where the allocator is not glibc's."""
    trim = _malloc_trim()
    task = asyncio.create_task(_trim(trim, every)) if trim else None
    try:
        yield
    finally:
        if task:
            task.cancel()


def _malloc_trim() -> Callable[[int], int] | None:
    """malloc_trim(3): since glibc 2.8 it gives back every free page of all arenas."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None


async def _trim(trim: Callable[[int], int], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        trim(0)

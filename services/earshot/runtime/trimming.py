"""What is free within the process goes back to the kernel, once a minute.

The allocator keeps all of it, for the next large message (see ``earshot.local.replicas``): without this the
process would stay as large as the worst of its minutes, and grow a little with each that is worse.

What calls leave in cycles is free only when the garbage collector has looked: by itself it looks at all of
it every some ten thousand calls, which a quiet service has in an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from collections.abc import AsyncIterator, Callable
from typing import Final

_EVERY_SECONDS: Final = 60.0  # where large messages matter, one in a minute that pays for new pages does not


@contextlib.asynccontextmanager
async def trimming(every: float = _EVERY_SECONDS) -> AsyncIterator[None]:
    """Beside what is done within."""
    task = asyncio.create_task(_trim(_malloc_trim(), every))
    try:
        yield
    finally:
        task.cancel()


def _malloc_trim() -> Callable[[int], int]:
    """malloc_trim(3): since glibc 2.8 it gives back every free page of all arenas. Others have none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return lambda _: 0


async def _trim(trim: Callable[[int], int], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        gc.collect()  # a few milliseconds: what was imported is frozen (``launch``)
        trim(0)

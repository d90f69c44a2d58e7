"""A narrow way to a port: so many bytes a second go up it, as over a home's or a phone's link."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from earshot.local.ports import LOOPBACK, free_ports

_PIECE = 4096  # bytes
_BUFFER = 32 * 1024  # bytes that wait on the way: about what a modem holds


@contextlib.contextmanager
def way(port: int, rate: float) -> Iterator[int]:
    """A port of this machine that leads to ``port``, at ``rate`` bytes a second upwards."""
    (narrow,) = free_ports(1)
    loop, started = asyncio.new_event_loop(), threading.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection(LOOPBACK, port)
        await asyncio.gather(_copy(reader, back, rate), _copy(onward, writer, float("inf")))

    async def serve() -> None:
        await asyncio.start_server(relay, LOOPBACK, narrow, limit=_BUFFER)
        started.set()

    thread = threading.Thread(target=_run, args=(loop,), daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield narrow
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
    """Each piece leaves when the link has had time for it."""
    loop = asyncio.get_running_loop()
    free = loop.time()
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE):
            free = max(free, loop.time()) + len(piece) / rate
            await asyncio.sleep(max(0.0, free - loop.time()))
            writer.write(piece)
            await writer.drain()
        writer.write_eof()

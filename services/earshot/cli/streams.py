"""Runs one stream to its end, or to Ctrl-C."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from earshot.cli.errors import reaching
from earshot.cli.proofs import client_options

if TYPE_CHECKING:
    from earshot.cli.stream_output import Show
    from earshot.client import AsyncSource, AsyncStream, StreamOptions


def run(source: AsyncSource, wanted: StreamOptions, target: str, show: Show) -> bool:
    """Shows what is heard; True where Ctrl-C ended the source.

    At the first Ctrl-C no more is taken from the source, and what was said until then is still heard; the
    second ends at once, by KeyboardInterrupt.
    """
    with reaching(target):
        return asyncio.run(_run(source, wanted, target, show))


async def _run(source: AsyncSource, wanted: StreamOptions, target: str, show: Show) -> bool:
    from earshot.client import AsyncClient

    stopped = asyncio.Event()
    async with AsyncClient(target, **client_options()) as client, client.stream(source, **wanted) as stream:
        with _ctrl_c(stream, stopped, show), show:
            async for event in stream:
                show.event(event)
            show.finish(stream.result)
    return stopped.is_set()


@contextmanager
def _ctrl_c(stream: AsyncStream, stopped: asyncio.Event, show: Show) -> Iterator[None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    again = asyncio.Event()

    def interrupted() -> None:
        if not stopped.is_set():
            stopped.set()
            stream.finish()
            show.note("ending; Ctrl-C again ends at once")
        elif task is not None:
            again.set()
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        yield
    except asyncio.CancelledError:
        if again.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)

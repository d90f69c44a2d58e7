"""Progress bars: on standard error, on a terminal only, and for what takes over a second."""

# ruff: noqa: PLC0415 - what is slow to import waits until it is needed

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE: Final = 1.0  # seconds before a bar is shown


class Advance(Protocol):
    """Takes how much is done, and how much there is where that has become known."""

    def __call__(self, done: float, total: float | None = None, /) -> None: ...


@contextmanager
def bar(
    description: str, total: float | None, *, in_bytes: bool = False, shown: bool = True
) -> Iterator[Advance]:
    """A bar up to ``total``; None: nobody knows yet how much there is."""
    if not (shown and sys.stderr.isatty()):
        yield _nowhere
        return
    progress = _progress(in_bytes)
    task = progress.add_task(description, total=total)
    timer = threading.Timer(PATIENCE, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, total=None, /: progress.update(task, completed=done, total=total or None)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def _nowhere(_done: float, _total: float | None = None, /) -> None:
    pass


def _progress(in_bytes: bool) -> Progress:
    from rich import progress
    from rich.console import Console

    columns = list(progress.Progress.get_default_columns())
    if in_bytes:
        columns += [progress.DownloadColumn(), progress.TransferSpeedColumn()]
    return progress.Progress(*columns, console=Console(stderr=True), transient=True)

"""CPU time of processes, to the microsecond, and the environment in which a worker keeps to one thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

# As the services set it for their workers: a process for each core, and one thread in each.
ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def seconds(process: psutil.Process) -> float:
    """CPU of a process so far, by the scheduler: the usual count goes in steps of 10 ms."""
    spent = 0
    for path in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            spent += int(path.read_text(encoding="ascii").split()[0])
    return spent / 1e9


def seconds_of_all(root: psutil.Process) -> float:
    """The same, with all processes that it has started."""
    return sum(seconds(one) for one in (root, *root.children(recursive=True)))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """What is started inside uses one thread for its sums."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value

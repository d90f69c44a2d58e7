"""Pools of the tests' tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from earshot.runtime.messages import TaskSpec
from earshot.runtime.pool import Pool, PoolEvents
from earshot.runtime.pool_options import PoolOptions

TASKS = "tests.unit.runtime.tasks"


@asynccontextmanager
async def pool(
    task: str = "Echo", scratch: Path | None = None, restarts: list[str] | None = None, **options: Any
) -> AsyncIterator[Pool]:
    spec = TaskSpec(f"{TASKS}:{task}", {"scratch": str(scratch)} if scratch else {})
    events = PoolEvents(on_restart=(restarts if restarts is not None else []).append)
    made = Pool(spec, PoolOptions("test", **options), events)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "earshot.runtime.worker" in child.cmdline()]


async def until(condition: object) -> None:
    """Waits for what will happen; the test's own time limit bounds it."""
    assert callable(condition)
    while not condition():
        await asyncio.sleep(0.01)

"""What can be seen of a service that runs in this process: its metrics, its worker processes."""

from __future__ import annotations

import asyncio
import urllib.request

import psutil

from tests.rpc.conftest import Running


async def until(service: Running, *parts: str) -> None:
    """Waits for a line of the metrics that has all ``parts``; the test's own time limit bounds it."""
    while True:
        lines = (await asyncio.to_thread(_scraped, service.metrics_port)).splitlines()
        if any(all(part in line for part in parts) for line in lines):
            return
        await asyncio.sleep(0.02)


def _scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


def workers() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if _is_worker(one)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "earshot.runtime.worker" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


def worker(pool: str) -> psutil.Process:
    """The process of a pool of one, by its name: "decoders", "engines", "listener-0"."""
    (found,) = [one for one in workers() if one.cmdline()[-1] == pool]
    return found


def listener() -> psutil.Process:
    """The process that streams are heard by."""
    return worker("listener-0")


def engine() -> psutil.Process:
    """The process that has the engine."""
    return worker("engines")

"""A process is not as large for ever as it has been once: seen by the kernel, with the real allocator."""

from __future__ import annotations

import os
import subprocess
import sys

from earshot.local.replicas import ENVIRONMENT

SCRIPT = """
import asyncio, ctypes, gc, pathlib, weakref
from earshot.runtime.trimming import trimming

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

class Cycle:
    def __init__(self):
        self.itself = self

async def main():
    gc.disable()  # it looks by itself after as many pieces
    cycle = weakref.ref(Cycle())
    pieces = [ctypes.create_string_buffer(b"\\1" * 4000) for _ in range(20_000)]
    last = ctypes.create_string_buffer(b"\\1" * 4000)  # above them: no end of the heap is free
    del pieces
    print(resident())
    async with trimming(every=0.01):
        await asyncio.sleep(0.2)
    await asyncio.sleep(0)
    print(resident(), len(asyncio.all_tasks()), int(cycle() is None))

asyncio.run(main())
"""


def test_what_is_free_is_given_back_and_cycles_are_too() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, given, tasks, cycles = map(int, run.stdout.split())
    assert given < kept - 60  # MiB, of nearly 80
    assert tasks == 1
    assert cycles == 1

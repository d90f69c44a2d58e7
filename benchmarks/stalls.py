"""How long a service's event loop is busy at a stretch, measured in the loop itself.

    python -m benchmarks.stalls FILE MODULE

runs the service MODULE; when it ends FILE has, for each second by ``time.monotonic``, the longest stretch.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import runpy
import selectors
import sys
import time
from pathlib import Path


class Stopwatch(selectors.DefaultSelector):
    """What a loop waits with: the time between two waits is what nobody else could have."""

    def __init__(self) -> None:
        super().__init__()
        self.longest: dict[int, float] = {}
        self._since = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As any selector's."""
        now = time.monotonic()
        second = int(now)
        self.longest[second] = max(self.longest.get(second, 0.0), now - self._since)
        found = super().select(timeout)
        self._since = time.monotonic()
        return found


def longest(path: Path, since: float, until: float) -> float:
    """The longest stretch in the whole seconds between two moments, in seconds."""
    kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return max(stretch for second, stretch in kept.items() if since <= int(second) <= until - 1)


def main(path: Path, module: str) -> None:
    """Runs it with the loop watched."""
    watch = Stopwatch()

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(watch)

    asyncio.set_event_loop_policy(Policy())
    atexit.register(lambda: path.write_text(json.dumps(watch.longest), encoding="utf-8"))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""``earshot up`` with fake cores: ``fake_stack.py STATE PORT``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

from earshot.local.replicas import CLASSIFICATION, STT  # noqa: E402
from earshot.local.signals import until_signal  # noqa: E402
from earshot.local.stack import Fleet, Options, Stack  # noqa: E402
from earshot.local.state import StateFolder  # noqa: E402
from tests.envoy.harness import fake  # noqa: E402


async def run(state: Path, port: int) -> None:
    """Runs until asked to stop; "ready" is printed once it serves."""
    options = Options(port, Fleet(fake(STT)), Fleet(fake(CLASSIFICATION)))
    async with Stack(options, StateFolder(state), print) as stack:
        print("ready", flush=True)  # noqa: T201 - the test reads it
        await stack.asked_to_stop()


if __name__ == "__main__":
    asyncio.run(until_signal(run(Path(sys.argv[1]), int(sys.argv[2]))))
    print("stopped")  # noqa: T201 - as above

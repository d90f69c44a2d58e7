"""Where drills of those services take place."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.drills.drill import Form
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running

_UP = (sys.executable, str(Path(__file__).with_name("up.py")))


@asynccontextmanager
async def faulty(_: Form) -> AsyncIterator[Stack]:
    """Three replicas, and two of texts: what goes from one to the next is seen."""
    setup = Setup("faster-whisper", CHECKPOINT, stt=3, classification=2, up=_UP)
    async with running(setup) as stack:
        yield stack

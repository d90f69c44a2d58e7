"""Where drills of that engine take place."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from earshot.client import AsyncClient, Encoding
from tests.drills.drill import Form
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running, workers

_UP = (sys.executable, str(Path(__file__).with_name("up.py")))


@asynccontextmanager
async def faulty(_: Form) -> AsyncIterator[Stack]:
    """Three replicas: what goes from one to the next is seen."""
    setup = Setup("faster-whisper", CHECKPOINT, stt=3, classification=1, up=_UP)
    async with running(setup) as stack:
        yield stack


async def bring_out(client: AsyncClient, value: int) -> str:
    """Sends the clip that brings a fault out; what is heard in it. Raises as ``recognize`` does."""
    clip = np.full(16_000, value, np.int16).tobytes()
    heard = await client.recognize(clip, encoding=Encoding.LINEAR16, sample_rate=16_000)
    return heard.text


async def engines(stack: Stack) -> dict[str, int]:
    """The engine process of each replica that has one now."""
    found = {row["name"]: workers(row["pid"]).get("engine") for row in await stack.replicas()}
    return {name: pid for name, pid in found.items() if pid}

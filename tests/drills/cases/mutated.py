"""Audio and messages that are broken in every way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.drills.counted import counted, folder
from tests.drills.drill import Drill, Form, Result

_COUNT, _SHORT_COUNT = 100_000, 1_000
_SLOWEST = 10.0  # seconds for one
_GROWN = 6.0  # MiB from the second third of the inputs to the last: 180 bytes of each
_TARGETS = ("audio", "live", "messages")


async def _run(where: Path, form: Form) -> Result:
    result = Result()
    count = _SHORT_COUNT if form.short else _COUNT
    await asyncio.gather(
        *(_fuzzed(target, count, where / target, result, judge=not form.short) for target in _TARGETS)
    )
    return result


async def _fuzzed(target: str, count: int, at: Path, result: Result, *, judge: bool) -> None:
    """``judge``: its time and memory too, which is of no use on a busy machine and for few inputs."""
    command = (sys.executable, "-W", "ignore", "-m", "tests.fuzz.mutated", target, str(count))
    took = await counted(target, (*command, "--limit", str(_SLOWEST), "--at", str(at)), result, at=at)
    if took is None:
        return
    result.counts |= {
        f"of {target}": count,
        f"s for the slowest of {target}": took["slowest"],
        f"MiB grown by {target}": took["grown_mib"],
    }
    result.must(took["inputs"] == count, f"{target}: only {took['inputs']} inputs")
    if not judge:
        return
    result.must(took["slowest"] < _SLOWEST, f"{target}: one took {took['slowest']:.1f} s")
    result.must(took["grown_mib"] < _GROWN, f"{target}: memory grew by {took['grown_mib']:.1f} MiB")


DRILL = Drill(
    "mutated",
    "recordings, whole and live, and messages, changed at random, taken apart as a service does it",
    "no crash, none takes 10 s, each is answered or refused by a clear error; memory is flat",
    folder,
    _run,
    limit=3600.0,
)

"""Audio and messages that are broken in every way."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.drills.drill import Drill, Form, Result

_COUNT = 100_000
_SLOWEST = 10.0  # seconds for one
_GROWN = 64.0  # MiB, after the first tenth
_TARGETS = ("audio", "live", "messages")


@asynccontextmanager
async def _scene(_: Form) -> AsyncIterator[Path]:
    with TemporaryDirectory(prefix="earshot-drill-") as folder:
        yield Path(folder)


async def _run(folder: Path, _: Form) -> Result:
    result = Result()
    await asyncio.gather(*(_fuzzed(target, folder / target, result) for target in _TARGETS))
    return result


async def _fuzzed(target: str, at: Path, result: Result) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "tests.fuzz.mutated", target, str(_COUNT), "--at", str(at)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    if process.returncode:
        last = wrong.decode(errors="replace").strip().splitlines()[-1:] or [""]
        what = f"{target}, input {_number(at)}: code {process.returncode} {last[0]}"
        result.must(holds=False, what=what)
        return
    took = json.loads(said.splitlines()[-1])  # before it stands what the services' code logs
    result.counts |= {
        f"of {target}": _COUNT,
        f"s for the slowest of {target}": took["slowest"],
        f"MiB grown by {target}": took["grown_mib"],
    }
    result.must(took["slowest"] < _SLOWEST, f"{target}: one took {took['slowest']:.1f} s")
    result.must(took["grown_mib"] < _GROWN, f"{target}: memory grew by {took['grown_mib']:.0f} MiB")


def _number(at: Path) -> str:
    """Of the input that was at work."""
    return at.read_text(encoding="ascii")


DRILL = Drill(
    "mutated",
    "recordings, whole and live, and messages, changed at random, taken apart as a service does it",
    "no crash, none takes 10 s, each is answered or refused by a clear error; memory is flat",
    _scene,
    _run,
    short=False,
    limit=3600.0,
)

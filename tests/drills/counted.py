"""What is counted in a process of its own, so that a crash or a hang there is a count here."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.drills.drill import Form, Result

LONGEST: Final = 3_600.0  # seconds for all of it: what hangs between two inputs must end too


@asynccontextmanager
async def folder(_: Form) -> AsyncIterator[Path]:
    """A scene that is no more than a place for files."""
    with TemporaryDirectory(prefix="earshot-drill-") as made:
        yield Path(made)


async def counted(
    name: str, command: Sequence[str], result: Result, *, at: Path | None = None, longest: float = LONGEST
) -> dict[str, float] | None:
    """The JSON of the command's last line; None where it fails, which ``result`` then says, or has no end.

    ``at`` is the file in which it says which input it is at.
    """
    try:
        async with asyncio.timeout(longest):
            code, said, wrong = await ended(command)
    except TimeoutError:
        result.must(holds=False, what=f"{name}{_input(at)}: no end after {longest:.0f} s")
        return None
    if code:
        result.must(holds=False, what=f"{name}{_input(at)}: {_end(code, wrong)}")
        return None
    found: dict[str, float] = json.loads(said.splitlines()[-1])  # before it: what the services' code logs
    return found


async def ended(command: Sequence[str]) -> tuple[int, bytes, bytes]:
    """Its code, what it wrote, and what it wrote as errors; it ends at once where nobody waits any more."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        said, wrong = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said, wrong


def _input(at: Path | None) -> str:
    """The one that was at work."""
    return f", input {at.read_text(encoding='ascii')}" if at and at.exists() else ""


def _end(code: int, wrong: bytes) -> str:
    """How a process has ended, in words, and where: as faulthandler says it, or the exception."""
    lines = [line.strip() for line in wrong.decode(errors="replace").splitlines()]
    if code > 0:
        return f"code {code} {''.join(lines[-1:])}"
    how = "it hangs" if code == -signal.SIGALRM else signal.Signals(-code).name
    return f"{how} {''.join([line for line in lines if line.startswith('File ')][:1])}"

"""A stack whose means are small: 64 MB of shared memory, and a disk of its own that can be filled, where its
state is, and temporary files.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.drills.drill import CannotError, Form
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running

_DISK: Final = "8m"
_SMALL: Final = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
_UP: Final = ("unshare", "--mount", "sh", "-c", _SMALL, "sh", sys.executable, "-m", "earshot.cli", "up")
_PIDS: Final = Path("/sys/fs/cgroup/pids")


@asynccontextmanager
async def cramped(_: Form) -> AsyncIterator[Stack]:
    """Wants root: it mounts."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise CannotError("it takes root to mount a small disk")
    with TemporaryDirectory(prefix="earshot-drill-") as disk:
        await _command("mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", disk)
        try:
            setup = Setup(
                "faster-whisper",
                CHECKPOINT,
                classification=1,
                up=_UP,
                state=Path(disk) / "state",
                temporary=Path(disk) / "tmp",
            )
            async with running(setup) as stack:
                yield stack
        finally:
            await _command("umount", disk)


async def _command(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if process.returncode:
        raise CannotError(f"{words[0]} fails here: {said.decode().strip()}")


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free on ``disk``."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def few_processes(pid: int) -> Iterator[None]:
    """``pid`` may have no thread more than it has, and start no process."""
    if not os.access(_PIDS / "cgroup.procs", os.W_OK):
        raise CannotError("no cgroup of pids can be made here")
    group = _PIDS / f"earshot-drill-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "pids.max").write_text((group / "pids.current").read_text())
        yield
    finally:
        (group / "pids.max").write_text("max")
        for each in (group / "cgroup.procs").read_text().split():
            (_PIDS / "cgroup.procs").write_text(each)
        group.rmdir()

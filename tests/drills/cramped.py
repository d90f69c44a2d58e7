"""A stack whose means are small: 64 MB of shared memory, and a disk of its own that can be filled, where its
state is, and temporary files.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from earshot.load.work import Work
from tests.drills.calls import hearing, phrases, sure
from tests.drills.drill import CannotError, Form
from tests.drills.speech import CHECKPOINT
from tests.drills.stack import Setup, Stack, running

_DISK: Final = "8m"
_SILENCE: Final = bytes(300 * 32_000)
SMALL: Final = 64 * 2**20  # bytes of /dev/shm
_MOUNT: Final = f'mount -t tmpfs -o size={SMALL} tmpfs /dev/shm && exec "$@"'
_UP: Final = ("unshare", "--mount", "sh", "-c", _MOUNT, "sh", sys.executable, "-m", "earshot.cli", "up")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_TIMES: Final = 3


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


async def long_calls(target: str) -> list[Work]:
    """Some words, and five minutes of silence: 9.6 MB of samples in each."""
    clips = [replace(one, samples=one.samples + _SILENCE) for one in phrases(1.5, 8)]
    return await sure(target, [hearing(one) for one in clips])


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
    with _group("pids", [pid]) as group:
        (group / "pids.max").write_text((group / "pids.current").read_text())
        try:
            yield
        finally:
            (group / "pids.max").write_text("max")


@contextmanager
def little_memory(pids: Iterable[int], limit: int) -> Iterator[Path]:
    """``pids`` together, and whom they start, may take so many bytes more than they have: of their own, and
    shared ones that they are the first to write. Who wants more makes the kernel kill one of them. Gives the
    group's folder.
    """
    with _group("memory", pids) as group:
        (group / "memory.limit_in_bytes").write_text(str(limit))  # what they had stays with the group before
        try:
            yield group
        finally:
            (group / "memory.limit_in_bytes").write_text("-1")


@contextmanager
def _group(controller: str, pids: Iterable[int]) -> Iterator[Path]:
    """A new cgroup of ``pids``; who is in it at the end goes where they came from."""
    root = _CGROUPS / controller
    if not os.access(root / "cgroup.procs", os.W_OK):
        raise CannotError(f"no cgroup of {controller} can be made here")
    group = root / f"earshot-drill-{os.getpid()}"
    group.mkdir()
    home = root
    try:
        for pid in pids:
            home = root / _path_of(pid, controller)
            (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        for _ in range(_TIMES):  # who is started meanwhile is in it too
            for each in (group / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    (home / "cgroup.procs").write_text(each)
        group.rmdir()


def _path_of(pid: int, controller: str) -> str:
    """Its cgroup, below the controller's root."""
    rows = (line.split(":") for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    return next(path for _, names, path in rows if controller in names.split(",")).lstrip("/")
